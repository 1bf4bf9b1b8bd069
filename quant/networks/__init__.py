"""The networks of the recipes, one file per family, written as lists of layers; nothing here needs torch."""
