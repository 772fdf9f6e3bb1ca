"""The nearest pictures of each picture, a block of a matrix product at a time."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from studio.arrays import Float32Array, IndexArray

_BLOCK_VALUES = 8_000_000


class Nearest(NamedTuple):
    """places: int, (N, k), rows of what was searched, nearest first; cosines: float32, (N, k)."""

    places: IndexArray
    cosines: Float32Array


def nearest(
    some: Float32Array,
    others: Float32Array,
    count: int,
    *,
    own: IndexArray | None = None,
    on_block: Callable[[int], object] = lambda done: None,
) -> Nearest:
    """Return the `count` nearest of `others` for each of `some`; both float32, (n, D), of length 1.

    own: for each of `some`, its own place among `others` (-1: it has none), which is left out. on_block: told
    how many are done; may raise.
    """
    count = max(0, min(count, len(others) - (own is not None)))
    places = np.empty((len(some), count), np.intp)
    cosines = np.empty((len(some), count), np.float32)
    rows = max(1, _BLOCK_VALUES // max(1, len(others)))
    for start in range(0, len(some), rows):
        on_block(start)
        found = some[start : start + rows] @ others.T
        if own is not None:
            at = np.flatnonzero(own[start : start + rows] >= 0)
            found[at, own[start : start + rows][at]] = -np.inf
        if not count:
            continue
        best = np.argpartition(-found, count - 1, axis=1)[:, :count]
        values = np.take_along_axis(found, best, axis=1)
        order = np.lexsort((best, -values), axis=1)
        places[start : start + rows] = np.take_along_axis(best, order, axis=1)
        cosines[start : start + rows] = np.take_along_axis(values, order, axis=1)
    return Nearest(places, cosines)
