"""Archives of arrays as users give them, and what can be wrong with them."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import BuildError


def read_archive(path: Path, keys: Sequence[str]) -> dict[str, NDArray]:
    """The arrays of an npz named ``keys``; raises BuildError if one is missing or the file is no such archive."""
    arrays = read_all(path, keys)
    if missing := [key for key in keys if key not in arrays]:
        raise BuildError(f"{path}: has no {', '.join(missing)}; needed are {', '.join(keys)}")
    return arrays


def read_all(path: Path, keys: Sequence[str] | None = None) -> dict[str, NDArray]:
    """All arrays of an npz, or those of ``keys`` that it has."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in (archive.files if keys is None else keys) if key in archive}
    except OSError as error:
        raise BuildError(f"{path}: cannot be read ({error.strerror or error}); give --data an existing npz") from None
    except (ValueError, AttributeError, KeyError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise BuildError(f"{path}: is not a readable npz archive of plain arrays ({error})") from None


def check_labels(path: Path, name: str, labels: NDArray, count: int) -> None:
    """Raise BuildError unless ``labels`` are ``count`` integers from 0 to 9."""
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise BuildError(f"{path}: {name} is {labels.dtype}{list(labels.shape)}; needed are {count} integers")
    if not 0 <= int(labels.min()) <= int(labels.max()) <= 9:
        raise BuildError(f"{path}: {name} runs from {labels.min()} to {labels.max()}; needed are labels 0 to 9")
