"""Types of NumPy arrays, for annotations."""

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.integer[Any]]
Int64Array = npt.NDArray[np.int64]
IndexArray = npt.NDArray[np.intp]
Uint8Array = npt.NDArray[np.uint8]
"""Pixels and other bytes."""
