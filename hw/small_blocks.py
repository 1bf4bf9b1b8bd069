"""Block RAMs of 4 kbit, as iCE40 has them: how many of them yosys makes a memory of."""

from functools import lru_cache

SHAPES = ((16, 256), (8, 512), (4, 1024), (2, 2048))
"""Widths and depths."""

FEWEST_BITS = 72
"""Of a memory, for each block, that yosys would rather have as flip-flops."""


@lru_cache(maxsize=100_000)
def count_small_blocks(words: int, width: int) -> tuple[int, int]:
    """The fewest blocks, and how many words there are for each address in one: they lie side by side."""
    found = [(-(-words // deep), wide) for wide, deep in SHAPES]
    return min((-(-beside * width // wide), beside) for beside, wide in found)


def is_worth_small_blocks(words: int, width: int) -> bool:
    """Whether yosys makes blocks of a small memory that may be flip-flops as well."""
    return words * width > FEWEST_BITS * count_small_blocks(words, width)[0]
