"""Similarity of images: perceptual hashes, correlation of thumbnails, and thresholds for embeddings."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from studio.arrays import Float32Array

NEAR_DUPLICATE_BITS = 12
"""The most bits, of 64, in which the perceptual hashes of near-duplicates differ."""
DUPLICATE_COSINE = 0.93
"""The cosine of two bottlenecks from which on their images are near-duplicates, whatever their hashes."""
DIFFERENT_COSINE = 0.6
"""The cosine below which they are not, whatever their hashes."""
HASH_ALONE_BITS = 10
"""Between the two, hashes may differ in so many bits; in NEAR_DUPLICATE_BITS where the thumbnails match."""
_MATCH_CORRELATION = 0.93
"""The correlation of two thumbnails from which on they match."""
_SIDE_PX = 16
_MIN_CONTRAST = 3.0
"""The least standard deviation of an image's pixels, in grey levels of 255, for it to match another."""
_HASH_INPUT_PX = 32
_DCT_SIZE = 8
_MEDIAN_SLICE = slice(_DCT_SIZE * _DCT_SIZE // 2 - 1, _DCT_SIZE * _DCT_SIZE // 2 + 1)
Hashes = npt.NDArray[np.uint64]
_MIRROR_MASK = np.uint64(0x5555_5555_5555_5555)
"""The bits of a pHash that mirroring inverts: those of the odd horizontal frequencies."""


def _dct_matrix() -> npt.NDArray[np.float64]:
    """Return the first rows of the discrete cosine transform (type 2): float64, (8, 32)."""
    frequency, at = np.arange(_DCT_SIZE)[:, None], np.arange(_HASH_INPUT_PX)
    return 2 * np.cos(np.pi * frequency * (2 * at + 1) / (2 * _HASH_INPUT_PX))


_DCT_MATRIX = _dct_matrix()


def perceptual_hash(image: Image.Image) -> str:
    """Return an image's pHash: 64 bits in 16 hexadecimal digits, equal to `imagehash.phash`.

    After Neal Krawetz, "Looks Like It": which of the 8 x 8 lowest frequencies (DCT) of the image, grey and
    32 x 32 px, are above their median. Not from the library, which takes 0.3 s to load its transform.
    """
    grey = image.convert("L").resize((_HASH_INPUT_PX, _HASH_INPUT_PX), Image.Resampling.LANCZOS)
    # Rounded: a plain image's bits must not depend on the rounding errors of zeros.
    coefficients = np.round(_DCT_MATRIX @ np.asarray(grey, np.float64) @ _DCT_MATRIX.T, 6)
    middle = np.sort(coefficients, axis=None)[_MEDIAN_SLICE].mean()  # the median, at a third of its time
    return np.packbits(coefficients > middle).tobytes().hex()


def hamming_distance(some: Hashes, others: Hashes | np.uint64) -> npt.NDArray[np.uint8]:
    """Return in how many of 64 bits pHashes differ, plain or with one image mirrored, whichever is fewer."""
    differ = some ^ others
    fewest: npt.NDArray[np.uint8] = np.minimum(
        np.bitwise_count(differ), np.bitwise_count(differ ^ _MIRROR_MASK)
    )
    return fewest


def thumbnail_vector(thumbnail: Image.Image) -> Float32Array | None:
    """Return a thumbnail's pixels as a vector to compare: float32, (768,), of mean 0 and length 1.

    None for a plain image, all white or all black, which has no detail to compare.
    """
    thumbnail.draft("RGB", (2 * _SIDE_PX, 2 * _SIDE_PX))  # a JPEG at a smaller scale, many times faster
    small = thumbnail.convert("RGB").resize((_SIDE_PX, _SIDE_PX), Image.Resampling.BILINEAR)
    pixels = np.asarray(small, np.float32)
    if float((pixels - pixels.mean((0, 1))).std()) < _MIN_CONTRAST:
        return None
    # Around the mean of all three channels together: their difference is the image's colour.
    centred: Float32Array = (pixels - pixels.mean()).ravel()
    return centred / np.linalg.norm(centred)


def thumbnails_match(one: Float32Array | None, other: Float32Array | None) -> bool:
    """Return whether two thumbnails match, whatever their brightness, sharpness and size, mirrored or not."""
    if one is None or other is None:
        return False
    mirrored = other.reshape(_SIDE_PX, _SIDE_PX, 3)[:, ::-1].ravel()
    return max(float(one @ other), float(one @ mirrored)) >= _MATCH_CORRELATION


def unit_vectors(vectors: Float32Array) -> Float32Array:
    """Return vectors divided by their length, so that products are cosines: float32, (N, features)."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.float32(1e-12)), np.float32)
