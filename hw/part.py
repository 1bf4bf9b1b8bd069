"""A stage in its place: how it reads the streams that come to it, and what its own stream carries."""

from collections.abc import Callable
from dataclasses import dataclass

from ..ir.graph import Ints, TensorType
from .stage import Stage

# From the codes of a tensor, (frames, *shape), to those that a stream carries.
View = Callable[[Ints], Ints]


@dataclass(frozen=True, eq=False)
class Part:
    """One of the stages of a unit; the first takes the unit's inputs, each other one what the one before it makes.

    reads: the types as which the stage reads its inputs, in the order of its ports; makes: the type of its stream, a
    reading of the unit's result for the last part. view: for the others, how the stream's codes, (frames,
    *makes.shape), follow from those of the unit's first input.
    """

    name: str
    stage: Stage
    reads: tuple[TensorType, ...]
    makes: TensorType
    view: View | None = None
