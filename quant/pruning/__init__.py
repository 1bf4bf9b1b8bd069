"""Pruning methods: each decides only which channels the masks drop, or how a layer is replaced by smaller ones."""
