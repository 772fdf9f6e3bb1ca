"""Pictures that are odd by themselves: blurred, dark, blank, small, of a strange shape, far from all others.

A score says how odd: from 0.5, just beyond the threshold, to 1. The thresholds were measured on photographs
and on degraded copies of them: docs/decisions/0040-what-the-studio-finds.md.
"""

import numpy as np
import numpy.typing as npt

from studio.arrays import FloatArray, Int64Array
from studio.curate.findings import Found, Kind
from studio.curate.measures import MEASURES
from studio.curate.neighbours import nearest

_SHARP = {"octave1": (-0.65, 0.3), "octave2": (-1.27, 0.6), "edges": (-1.9, 0.8)}
"""For each measure the threshold below which a picture is blurred, and how far below it is wholly so."""
_BRIGHT = 60.0
"""Dark: hardly a twentieth of the pixels is brighter."""
_DETAIL = (2.0, 8.0)
_DETAIL_SHARE = 0.06
"""Blank: grey levels deviate by less than this share of the bright ones, within bounds: dark is not blank."""
_SMALL_PX = 100.0
"""Small: the shorter side is less than half of what a backbone sees."""
_LONG = 2.5
_LONGEST = 6.0
"""Of a strange shape: longer than wide, or wider than long, by so many times; at the latter wholly so."""
_NEIGHBOUR = 5
"""Far: by the distance to this neighbour."""
_FAR_BEYOND = 0.65
"""… that goes so far beyond 95% of the distances, measured from the median to there."""
_FEWEST = 30
"""Below so many pictures none is far."""
_COMPARED = 10_000


def odd_looks(ids: Int64Array, measures: FloatArray) -> dict[Kind, Found]:
    """Return the blurred, the dark and the blank. measures: (N, 5), of `MEASURES`; NaN is unknown."""
    column = dict(zip(MEASURES, measures.astype(np.float64).T, strict=True))
    least = np.clip(_DETAIL_SHARE * column["bright"], *_DETAIL)
    blank = 1 - column["detail"] / least
    blurred = np.max([(limit - column[name]) / span for name, (limit, span) in _SHARP.items()], axis=0)
    # Where there is next to nothing to see, nothing can be sharp.
    blurred[blank > 0] = -1
    return {
        "blurred": _beyond(ids, blurred),
        "dark": _beyond(ids, (_BRIGHT - column["bright"]) / _BRIGHT),
        "blank": _beyond(ids, blank),
    }


def odd_sizes(ids: Int64Array, width_px: FloatArray, height_px: FloatArray) -> dict[Kind, Found]:
    """Return the small and those of a strange shape. width_px, height_px: (N,)."""
    shorter, longer = np.minimum(width_px, height_px), np.maximum(width_px, height_px)
    return {
        "small": _beyond(ids, (_SMALL_PX - shorter) / _SMALL_PX),
        "shape": _beyond(ids, (longer / np.maximum(shorter, 1) - _LONG) / (_LONGEST - _LONG)),
    }


def far(ids: Int64Array, vectors: npt.NDArray[np.float32], rng: np.random.Generator) -> dict[Kind, Found]:
    """Return those that resemble hardly any other. vectors: float32, (N, D), of length 1.

    Each is compared with 10,000 others at most.
    """
    count = len(ids)
    if count < _FEWEST:
        return {"far": _beyond(ids[:0], np.empty(0))}
    others = np.sort(rng.permutation(count)[:_COMPARED])
    own = np.full(count, -1, np.intp)
    own[others] = np.arange(len(others))
    found = nearest(vectors, vectors[others], _NEIGHBOUR, own=own)
    apart = 1 - found.cosines[:, -1].astype(np.float64)
    median, most = np.quantile(apart, [0.5, 0.95])
    limit = most + _FAR_BEYOND * (most - median)
    return {"far": _beyond(ids, (apart - limit) / max(1 - limit, 1e-6))}


def _beyond(ids: Int64Array, excess: FloatArray) -> Found:
    """Return the findings of those whose excess over a threshold is positive; 1 is the most."""
    odd = np.flatnonzero(excess > 0)  # which nothing unknown is
    return Found(ids[odd], 0.5 + 0.5 * np.minimum(excess[odd], 1))
