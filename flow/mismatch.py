"""The one failure that is no mistake of the user's: results that are not what they must be."""


class Mismatch(Exception):
    """Values or cycles that differ; the command line prints the message and ends with status 1."""
