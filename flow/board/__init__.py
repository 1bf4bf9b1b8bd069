"""The verbs for boards: what there is, a bitstream, loading it, running it."""
