"""Image quality measures: sharpness, brightness and detail of thumbnails, computed once and kept in a file.

`studio.curate.image_issues` says from which values on they are an issue.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from studio.arrays import Float32Array
from studio.curate.analysis_files import write_array
from studio.errors import StudioError
from studio.i18n import _
from studio.images.store import ImageStore
from studio.progress import Progress

MEASURES = ("octave1", "octave2", "edges", "bright", "detail")
"""The columns of all measures: see `measure_thumbnail`."""
_TILES = 8
_STRONGEST_TILES = 6
_MIN_SIDE_PX = 20
_BRIGHT_PERCENTILE = 95


def measure_thumbnail(thumbnail: Image.Image) -> npt.NDArray[np.float32]:
    """Return the measures of a thumbnail in the order of `MEASURES`: float32, (5,).

    octave1, octave2: log10 of the ratio of the power of the finest detail to that of detail twice and four
    times as coarse, in the tiles where the coarse detail is strongest: a sharp photograph with a soft
    background is sharp there. edges: log10 of the ratio of the Laplacian's variance to the image's. bright:
    the grey level, 0 to 255, that 5% of the pixels exceed. detail: the standard deviation of grey levels.
    """
    grey = np.asarray(thumbnail.convert("L"), np.float32)
    bright, detail = float(np.percentile(grey, _BRIGHT_PERCENTILE)), float(grey.std())
    if min(grey.shape) < _MIN_SIDE_PX:  # too few pixels to measure
        return np.array([0, 0, 0, bright, detail], np.float32)
    fine = _laplacian(grey)
    half = _downsample(grey)
    powers = _tile_means(fine**2)
    octaves = [
        _octave_log_ratio(powers, _tile_means(_laplacian(coarse) ** 2))
        for coarse in (half, _downsample(half))
    ]
    edges = np.log10(fine.var() / (grey.var() + 1) + 1e-6)
    return np.array([*octaves, edges, bright, detail], np.float32)


def _laplacian(grey: Float32Array) -> Float32Array:
    around = grey[1:-1, :-2] + grey[1:-1, 2:] + grey[:-2, 1:-1] + grey[2:, 1:-1]
    return np.asarray(around - 4 * grey[1:-1, 1:-1], np.float32)


def _downsample(grey: Float32Array) -> Float32Array:
    height, width = (size // 2 * 2 for size in grey.shape)
    quads = grey[:height, :width].reshape(height // 2, 2, width // 2, 2)
    return np.asarray(quads.mean(axis=(1, 3)), np.float32)


def _tile_means(values: Float32Array) -> Float32Array:
    """Return the means over up to 8 x 8 tiles, row by row."""
    down, across = (min(_TILES, size) for size in values.shape)
    ys = np.linspace(0, values.shape[0], down + 1).astype(np.intp)
    xs = np.linspace(0, values.shape[1], across + 1).astype(np.intp)
    sums = np.add.reduceat(np.add.reduceat(values, ys[:-1], axis=0), xs[:-1], axis=1)
    return np.asarray(sums / np.outer(np.diff(ys), np.diff(xs)), np.float32)


def _octave_log_ratio(fine: Float32Array, coarse: Float32Array) -> float:
    if fine.shape != coarse.shape:
        return 0.0
    strongest = np.argsort(coarse, axis=None)[-_STRONGEST_TILES:]
    return float(np.log10(fine.ravel()[strongest].sum() / max(coarse.ravel()[strongest].sum(), 1e-6) + 1e-5))


_MEASURES_FILE = "measures-1.npy"
"""Raise the number when measures change."""
_MEASURES_DTYPE = np.dtype([("id", "<i8"), ("values", "<f4", (len(MEASURES),))])
_BATCH_SIZE = 256
_WRITE_EVERY = 5_000


class AnalysedImage(NamedTuple):
    """An image of a project as an analysis reads it."""

    id: int
    sha256: str
    format: str
    width_px: int
    height_px: int


def measure_images(
    images: Sequence[AnalysedImage], store: ImageStore, folder: Path, *, threads: int, progress: Progress
) -> Float32Array:
    """Return the measures of images: float32, (N, 5), NaN for one that cannot be read any more.

    Images whose measures are in `folder` are not read again. When stopped, finished measures are kept.
    """
    phase = _("Measuring the images")
    values = _read_measures(folder)
    missing = [image for image in images if image.id not in values]
    unwritten = 0
    progress.report(phase, len(images) - len(missing), len(images))
    try:
        with ThreadPoolExecutor(threads, thread_name_prefix="measuring") as pool:
            for start in range(0, len(missing), _BATCH_SIZE):
                batch = missing[start : start + _BATCH_SIZE]
                rows = pool.map(lambda image: _measure_stored(store, image), batch)
                values.update({image.id: row for image, row in zip(batch, rows, strict=True)})
                unwritten += len(batch)
                if unwritten >= _WRITE_EVERY:
                    _write_measures(folder, values)
                    unwritten = 0
                done = len(images) - len(missing) + start + len(batch)
                progress.report(phase, done, len(images))
    finally:
        if unwritten:
            _write_measures(folder, values)
    return np.array([values[image.id] for image in images], np.float32).reshape(-1, len(MEASURES))


def _measure_stored(store: ImageStore, image: AnalysedImage) -> Float32Array:
    try:
        with Image.open(store.thumbnail(image.sha256, image.format), formats=["JPEG"]) as thumbnail:
            return measure_thumbnail(thumbnail)
    except (StudioError, OSError):  # its file is gone
        return np.full(len(MEASURES), np.nan, np.float32)


def _read_measures(folder: Path) -> dict[int, Float32Array]:
    try:
        rows = np.load(folder / _MEASURES_FILE, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return {}
    if rows.dtype != _MEASURES_DTYPE:
        return {}
    return dict(zip(rows["id"].tolist(), rows["values"], strict=True))


def _write_measures(folder: Path, values: dict[int, Float32Array]) -> None:
    rows = np.empty(len(values), _MEASURES_DTYPE)
    rows["id"] = list(values)
    rows["values"] = np.array(list(values.values()), np.float32).reshape(-1, len(MEASURES))
    write_array(folder / _MEASURES_FILE, rows)
