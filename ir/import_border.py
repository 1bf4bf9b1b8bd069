"""The graph's inputs: what the host does with the model's reals, and how their codes lie in the graph's tensor."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..errors import GraphError
from .chain import Chain, Step
from .graph import Input, IntType, TensorType
from .import_input import EXAMPLES, InputType
from .import_layout import Arrangement, Layout, channels_first, inverse, moving_steps, plain_layout, positions
from .import_values import Grid, Value, output_grid, represented


class MissingInputType(GraphError):
    """The user has to say what comes in."""


@dataclass(frozen=True, eq=False)
class Border:
    """The host's steps on data of ``layout``, and the grid and type of their result; ``made_by`` names the steps."""

    layout: Layout  # places in C order of the model's input, in the shape of the graph's tensor
    steps: tuple[Step, ...]
    made_by: tuple[str, ...]
    grid: Grid
    dtype: IntType


class Borders:
    """The model's inputs; each is decided by the first layer that takes it."""

    def __init__(self, input_type: InputType | None) -> None:
        self._input_type = input_type
        self._shapes: dict[str, tuple[str, tuple[int, ...]]] = {}
        self._images: dict[str, Arrangement | None] = {}
        self._decided: dict[str, Border] = {}

    def add(self, name: str, onnx_name: str, shape: tuple[int, ...], image: Arrangement | None) -> Value:
        """image: how some layer needs the data; None where all take it as it comes."""
        self._shapes[name], self._images[name] = (onnx_name, shape), image
        return Value(name, plain_layout(shape), None)

    def assume(self, input_type: InputType) -> None:
        """What comes in from now on, where it is not decided."""
        self._input_type = input_type

    def has(self, tensor: str) -> bool:
        return tensor in self._shapes

    def inputs(self, tensors: Mapping[str, TensorType]) -> tuple[Input, ...]:
        return tuple(self._input(name, tensors[name]) for name in self._shapes if name in self._decided)

    def _input(self, name: str, tensor: TensorType) -> Input:
        border, shape = self._decided[name], self._shapes[name][1]
        reshape = (Step("Reshape", (np.array(shape, dtype=np.int64),)),) if shape != tensor.shape else ()
        moves = moving_steps(positions(shape), border.layout.places)
        return Input(name, tensor, shape, Chain((*reshape, *moves, *border.steps, border.grid.codes())))

    def settle(self, value: Value, consumer: str, arrange: Arrangement | None) -> tuple[Value, Border]:
        """The value, the host's steps included, and what the host does; ``arrange`` is how the consumer wants it."""
        name = value.tensor
        if name not in self._decided:
            places = (arrange or channels_first)(value.layout.places)
            image = self._images[name]
            if places.ndim == 1 and image is not None:
                places = image(positions(self._shapes[name][1]))
            self._decided[name] = self._decide(value, Layout(places.shape, places), consumer)
        border = self._decided[name]
        done = len(border.steps)
        if value.key(done) != border.made_by:
            raise GraphError(
                f"{consumer}: input {self._shapes[name][0]} reaches it by another quantizer than other layers; "
                "share one, or give the raw integers that come in with --input-type"
            )
        place_of = inverse(border.layout.places)
        layout = Layout(border.layout.shape, place_of[value.layout.places])
        origins = tuple(
            replace(o, layout=Layout(layout.shape, place_of[o.layout.places])) if o.tensor == name else o
            for o in value.origins
        )
        return replace(value, layout=layout, grid=border.grid, origins=origins), border

    def _decide(self, value: Value, layout: Layout, consumer: str) -> Border:
        if self._input_type is not None:
            dtype = self._input_type.dtype
            return Border(layout, (), (), _represented(self._input_type.grid(layout.channels), dtype), dtype)
        end = value.quantizers[-1] + 1 if value.quantizers else 0
        # As the steps see it: places in the order of the graph's tensor.
        host = replace(value.until(end), layout=Layout(layout.shape, inverse(layout.places)[value.layout.places]))
        uneven = host.uneven()
        if uneven is not None:
            raise GraphError(
                f"{value.names[uneven]}: its constants differ from pixel to pixel of the input; give one value per "
                "channel, or move it out of the model"
            )
        steps = host.channel_steps()
        grid, dtype = output_grid(steps[-1], layout.channels) if steps else (None, None)
        if grid is None or dtype is None:
            raise MissingInputType(
                f"input {self._shapes[value.tensor][0]} has no quantizer before {consumer}; say which integers come in "
                f"with --input-type, for example {EXAMPLES}"
            )
        return Border(layout, steps, value.key(end), _represented(grid, dtype), dtype)


def _represented(grid: Grid, dtype: IntType) -> Grid:
    codes = (np.full(grid.channels, limit) for limit in (dtype.low, dtype.high))
    return represented(grid, *codes)
