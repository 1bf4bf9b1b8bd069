"""Files of a run folder: each is written under a temporary name and renamed, so that none is ever half there."""

import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BuildError


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``path`` as a whole or not at all; raises BuildError with the system's reason."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        raise BuildError(f"{path}: cannot be written ({error.strerror}); choose another folder or free space") from None


def write_json(path: Path, content: object) -> None:
    write_bytes(path, (json.dumps(content, indent=2) + "\n").encode())


def read_json(path: Path) -> Any:
    """The content of a JSON file; raises BuildError if it cannot be read or is not JSON."""
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise BuildError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError:
        raise BuildError(f"{path}: is not JSON; it is damaged, delete the folder and train again") from None


def write_arrays(path: Path, arrays: Mapping[str, NDArray]) -> None:
    """Write a compressed npz; equal arrays give equal bytes."""
    buffer = BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_bytes(path, buffer.getvalue())
