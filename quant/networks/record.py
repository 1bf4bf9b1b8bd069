"""Networks as JSON values, and back."""

import dataclasses
from typing import Any

from ...errors import BuildError
from . import layers
from .layers import Input, Layer, Network

KINDS = {
    kind.__name__: kind
    for kind in vars(layers).values()
    if isinstance(kind, type) and issubclass(kind, Layer) and kind is not Layer
}


def record_network(network: Network) -> dict[str, Any]:
    """A JSON object with all that ``read_network`` needs; fields at their defaults are left out."""
    return _record(network) | {
        "input": _record(network.input),
        "layers": [{"kind": type(layer).__name__} | _record(layer) for layer in network.layers],
    }


def read_network(record: Any, where: str) -> Network:
    """The network that ``record_network`` described; raises BuildError naming ``where`` it stood."""
    try:
        found = [_read(KINDS[values["kind"]], values, leave="kind") for values in record["layers"]]
        values = record | {"input": _read(Input, record["input"]), "layers": tuple(found)}
        return _read(Network, values)
    except (KeyError, TypeError, AttributeError) as error:
        raise BuildError(
            f"{where}: describes no network of this version of Espalier ({type(error).__name__}: {error}); train anew"
        ) from None


def _record(entry: Any) -> dict[str, Any]:
    found = {}
    for field in dataclasses.fields(entry):
        value = getattr(entry, field.name)
        if value != field.default and not dataclasses.is_dataclass(value) and field.name != "layers":
            found[field.name] = list(value) if isinstance(value, tuple) else value
    return found


def _read(kind: Any, values: dict[str, Any], leave: str = "") -> Any:
    given = {name: value for name, value in values.items() if name != leave}
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()})
