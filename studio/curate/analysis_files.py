"""Files of the image analysis: reduced bottlenecks, and the coordinates of images on the map.

`ids.npy` (int64, (N,), ascending image ids), `vectors.npy` (float32, (N, at most 128), of length 1) and
`map.npy` (float32, (N, 2), 0 to 1) belong together. Each is replaced as a whole, one after the other. All are
computed from the bottlenecks and can be computed again.
"""

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from studio.arrays import Float32Array, Int64Array
from studio.files import atomic_bytes

IDS_FILE, VECTORS_FILE, MAP_FILE = "ids.npy", "vectors.npy", "map.npy"
_ATTEMPTS = 20
_PAUSE_S = 0.1


class AnalysisVectors(NamedTuple):
    """Ids and reduced bottlenecks of the last image analysis."""

    ids: Int64Array
    vectors: Float32Array


def read_vectors(folder: Path) -> AnalysisVectors | None:
    """Return ids and reduced bottlenecks, read into memory; None where there was no analysis.

    Not mapped: Windows can neither replace nor remove a mapped file.
    """
    for _try in range(_ATTEMPTS):
        try:
            ids = np.load(folder / IDS_FILE, allow_pickle=False)
            vectors = np.load(folder / VECTORS_FILE, allow_pickle=False)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError):  # being replaced, on Windows
            time.sleep(_PAUSE_S)
            continue
        if len(ids) == len(vectors):
            return AnalysisVectors(ids, vectors)
        time.sleep(_PAUSE_S)  # one file is replaced already, the other will be in a moment
    return None


def read_array(path: Path) -> Float32Array | None:
    """Return the array in a file; None where it is missing or unreadable."""
    try:
        array: Float32Array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return array


def write_array(path: Path, array: npt.NDArray[np.generic]) -> None:
    """Write an array, replacing the file as a whole; retry for 2 s while a reader has the old one open."""
    for attempt in range(_ATTEMPTS):
        try:
            with atomic_bytes(path) as file:
                np.save(file, array, allow_pickle=False)
            return
        except PermissionError:  # Windows cannot replace an open file
            if attempt == _ATTEMPTS - 1:
                raise
            time.sleep(_PAUSE_S)
