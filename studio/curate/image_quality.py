"""Images that are odd by themselves: blurred, dark, blank, small, of a strange shape, far from all others.

A score says how odd: from 0.5, just beyond the threshold, to 1. The thresholds were measured on photographs
and on degraded copies of them: docs/decisions/0040-what-the-studio-finds.md.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from studio.arrays import Float32Array, FloatArray, Int64Array
from studio.curate.analysis_files import write_array
from studio.curate.findings import Found, Kind
from studio.curate.kernel_model import nearest
from studio.errors import StudioError
from studio.i18n import _
from studio.images.store import ImageStore
from studio.progress import Progress

MEASURES = ("octave1", "octave2", "edges", "bright", "detail")
"""The columns: see `measure`."""
_TILES = 8
_LIVELIEST = 6
_LEAST_PX = 20
_PERCENT = 95


def measure(thumbnail: Image.Image) -> npt.NDArray[np.float32]:
    """Return float32, (5,), the measures of a thumbnail in the order of `MEASURES`.

    octave1, octave2: the power of the finest detail beside that of detail twice and four times as coarse, as
    a logarithm (base 10), where the coarse is strongest; a sharp photograph with a soft background is sharp
    there. edges: the variance of the Laplacian beside that of the image, as a logarithm. bright: the grey
    level, 0 to 255, that a twentieth of the pixels exceed. detail: the deviation of grey levels.
    """
    grey = np.asarray(thumbnail.convert("L"), np.float32)
    bright, detail = float(np.percentile(grey, _PERCENT)), float(grey.std())
    if min(grey.shape) < _LEAST_PX:  # too few pixels to say
        return np.array([0, 0, 0, bright, detail], np.float32)
    fine = _laplacian(grey)
    half = _halved(grey)
    powers = _tiles(fine**2)
    octaves = [_beside(powers, _tiles(_laplacian(coarse) ** 2)) for coarse in (half, _halved(half))]
    edges = np.log10(fine.var() / (grey.var() + 1) + 1e-6)
    return np.array([*octaves, edges, bright, detail], np.float32)


def _laplacian(grey: Float32Array) -> Float32Array:
    around = grey[1:-1, :-2] + grey[1:-1, 2:] + grey[:-2, 1:-1] + grey[2:, 1:-1]
    return np.asarray(around - 4 * grey[1:-1, 1:-1], np.float32)


def _halved(grey: Float32Array) -> Float32Array:
    height, width = (side // 2 * 2 for side in grey.shape)
    quads = grey[:height, :width].reshape(height // 2, 2, width // 2, 2)
    return np.asarray(quads.mean(axis=(1, 3)), np.float32)


def _tiles(values: Float32Array) -> Float32Array:
    """Return the means over up to 8 x 8 tiles, row by row."""
    down, across = (min(_TILES, side) for side in values.shape)
    ys = np.linspace(0, values.shape[0], down + 1).astype(np.intp)
    xs = np.linspace(0, values.shape[1], across + 1).astype(np.intp)
    sums = np.add.reduceat(np.add.reduceat(values, ys[:-1], axis=0), xs[:-1], axis=1)
    return np.asarray(sums / np.outer(np.diff(ys), np.diff(xs)), np.float32)


def _beside(fine: Float32Array, coarse: Float32Array) -> float:
    if fine.shape != coarse.shape:
        return 0.0
    liveliest = np.argsort(coarse, axis=None)[-_LIVELIEST:]
    return float(np.log10(fine.ravel()[liveliest].sum() / max(coarse.ravel()[liveliest].sum(), 1e-6) + 1e-5))


_SHARP = {"octave1": (-0.65, 0.3), "octave2": (-1.27, 0.6), "edges": (-1.9, 0.8)}
"""For each measure the threshold below which an image is blurred, and how far below it is wholly so."""
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
"""Below so many images none is far."""
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


_FILE = "measures-1.npy"
"""The number is to be raised when measures change."""
_ROW = np.dtype([("id", "<i8"), ("values", "<f4", (len(MEASURES),))])
_TOGETHER = 256
_WRITE_EVERY = 5_000


class AnalysedImage(NamedTuple):
    """An image of a project, as a survey knows it."""

    id: int
    sha256: str
    format: str
    width_px: int
    height_px: int


def measured(
    images: Sequence[AnalysedImage], store: ImageStore, folder: Path, *, threads: int, progress: Progress
) -> Float32Array:
    """Return the measures of images: float32, (N, 5), NaN for one that cannot be read any more.

    Only those that `folder` does not know are looked at. What was measured is kept when it is stopped.
    """
    phase = _("Looking at the images")
    values = _read(folder)
    missing = [image for image in images if image.id not in values]
    unwritten = 0
    progress.report(phase, len(images) - len(missing), len(images))
    try:
        with ThreadPoolExecutor(threads, thread_name_prefix="looking") as pool:
            for start in range(0, len(missing), _TOGETHER):
                some = missing[start : start + _TOGETHER]
                rows = pool.map(lambda image: _measure(store, image), some)
                values.update({image.id: row for image, row in zip(some, rows, strict=True)})
                unwritten += len(some)
                if unwritten >= _WRITE_EVERY:
                    _write(folder, values)
                    unwritten = 0
                done = len(images) - len(missing) + start + len(some)
                progress.report(phase, done, len(images))
    finally:
        if unwritten:
            _write(folder, values)
    return np.array([values[image.id] for image in images], np.float32).reshape(-1, len(MEASURES))


def _measure(store: ImageStore, image: AnalysedImage) -> Float32Array:
    try:
        with Image.open(store.thumbnail(image.sha256, image.format), formats=["JPEG"]) as thumbnail:
            return measure(thumbnail)
    except (StudioError, OSError):  # its file is gone
        return np.full(len(MEASURES), np.nan, np.float32)


def _read(folder: Path) -> dict[int, Float32Array]:
    try:
        rows = np.load(folder / _FILE, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return {}
    if rows.dtype != _ROW:
        return {}
    return dict(zip(rows["id"].tolist(), rows["values"], strict=True))


def _write(folder: Path, values: dict[int, Float32Array]) -> None:
    rows = np.empty(len(values), _ROW)
    rows["id"] = list(values)
    rows["values"] = np.array(list(values.values()), np.float32).reshape(-1, len(MEASURES))
    write_array(folder / _FILE, rows)
