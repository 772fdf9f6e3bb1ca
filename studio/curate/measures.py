"""What can be measured on a thumbnail: how sharp it is, how bright, how much there is to see.

Thumbnails fit 256 px, about what a backbone sees: blur that does not show there does not matter.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

from studio.arrays import Float32Array

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
    there. edges: the variance of the Laplacian beside that of the picture, as a logarithm. bright: the grey
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
