"""Which pruning, widths and target: the search that `espalier explore` runs, one idea a file."""
