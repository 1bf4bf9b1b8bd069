"""The verbs of the house as one command line, and the build folder that records them."""
