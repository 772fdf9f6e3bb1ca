"""The files that a study of a project's images leaves: reduced bottlenecks, and where the map has each.

`ids.npy` (int64, (N,), ascending image ids), `vectors.npy` (float32, (N, at most 128), of length 1) and
`map.npy` (float32, (N, 2), 0 to 1) belong together; each appears whole, one after the other. They are made
from the bottlenecks and can be made again at any time.
"""

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from studio.arrays import Float32Array, Int64Array
from studio.files import atomic_bytes

IDS, VECTORS, MAP = "ids.npy", "vectors.npy", "map.npy"
_TRIES = 20
_PAUSE_S = 0.1


class Studied(NamedTuple):
    """What the last survey left of a project's images."""

    ids: Int64Array
    vectors: Float32Array


def read_studied(folder: Path) -> Studied | None:
    """Return ids and reduced bottlenecks, read into memory; None where no survey has left any.

    Not mapped: Windows can neither replace nor remove a file that somebody has mapped.
    """
    for _try in range(_TRIES):
        try:
            ids = np.load(folder / IDS, allow_pickle=False)
            vectors = np.load(folder / VECTORS, allow_pickle=False)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError):  # being replaced, on Windows
            time.sleep(_PAUSE_S)
            continue
        if len(ids) == len(vectors):
            return Studied(ids, vectors)
        time.sleep(_PAUSE_S)  # one is new and the other will be in a moment
    return None


def read_array(path: Path) -> Float32Array | None:
    """Return one array of a study; None where there is none that can be read."""
    try:
        found: Float32Array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found


def write_array(path: Path, array: npt.NDArray[np.generic]) -> None:
    """Write one array; the file appears whole. Waits a little for whoever is reading the former one."""
    for attempt in range(_TRIES):
        try:
            with atomic_bytes(path) as file:
                np.save(file, array, allow_pickle=False)
            return
        except PermissionError:  # Windows replaces no file that is open
            if attempt == _TRIES - 1:
                raise
            time.sleep(_PAUSE_S)
