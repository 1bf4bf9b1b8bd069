"""Functions of numbers and arrays as machine code."""

from numba import njit


def compiled(function):
    """Machine code, kept on disk for the next run where some folder for it can be written."""
    try:
        return njit(cache=True)(function)
    except RuntimeError:  # numba's, when it finds no such folder
        return njit(function)
