"""Widths of weights and activations."""

BITS = range(1, 9)
"""What hardware is made for; 1 bit means bipolar, -1 or +1."""

FLOAT = 32
"""In the place of a width: real numbers, which are not quantized."""
