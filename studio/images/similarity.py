"""Similarity of two images: perceptual hashes that propose pairs, and thumbnails that are compared."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from studio.arrays import Float32Array

NEAR_DUPLICATE_BITS = 12
"""Perceptual hashes of near copies differ in no more bits than this, of 64."""
DUPLICATE_COSINE = 0.93
"""The cosine of two bottlenecks from which on their images are near copies, whatever their hashes say."""
DIFFERENT_COSINE = 0.6
"""The cosine below which they are not, whatever their hashes say."""
HASH_ALONE_BITS = 10
"""Between the two, hashes may differ in so many bits; in NEAR_BITS where the thumbnails were looked at."""
_ALIKE = 0.93
"""The correlation of two thumbnails from which on they show the same."""
_SIDE_PX = 16
_LEAST_DETAIL = 3.0
"""Grey levels of 255 by which an image's pixels must vary for it to resemble another."""
_HASHED_PX = 32
_WAVES = 8
_MIDDLE = slice(_WAVES * _WAVES // 2 - 1, _WAVES * _WAVES // 2 + 1)
Hashes = npt.NDArray[np.uint64]
_MIRRORED = np.uint64(0x5555_5555_5555_5555)
"""The bits of a pHash that turn over in the mirror: those of the odd waves across."""


def _cosines() -> npt.NDArray[np.float64]:
    """Return the first rows of the discrete cosine transform (type 2): float64, (8, 32)."""
    wave, at = np.arange(_WAVES)[:, None], np.arange(_HASHED_PX)
    return 2 * np.cos(np.pi * wave * (2 * at + 1) / (2 * _HASHED_PX))


_COSINES = _cosines()


def perceptual_hash(image: Image.Image) -> str:
    """Return an image's pHash: 64 bits in 16 hexadecimal digits, those that `imagehash.phash` gives.

    After Neal Krawetz, "Looks Like It": which of the 8 x 8 longest waves of the image, grey and 32 x 32 px,
    are above their median. Here and not from the library, which takes 0.3 s to load its transform.
    """
    grey = image.convert("L").resize((_HASHED_PX, _HASHED_PX), Image.Resampling.LANCZOS)
    # Rounded: a plain image's bits must not hang on the last digit of what would be nought.
    waves = np.round(_COSINES @ np.asarray(grey, np.float64) @ _COSINES.T, 6)
    middle = np.sort(waves, axis=None)[_MIDDLE].mean()  # the median, at a third of its time
    return np.packbits(waves > middle).tobytes().hex()


def hamming_distance(some: Hashes, others: Hashes | np.uint64) -> npt.NDArray[np.uint8]:
    """Return in how many of 64 bits pHashes differ, or would if one image were mirrored: the fewer."""
    differ = some ^ others
    fewest: npt.NDArray[np.uint8] = np.minimum(np.bitwise_count(differ), np.bitwise_count(differ ^ _MIRRORED))
    return fewest


def thumbnail_vector(thumbnail: Image.Image) -> Float32Array | None:
    """Return what is compared of a thumbnail: float32, (768,), of length 1 around 0; None for a plain one.

    Plain images, all white or all black, say nothing by which one could be a copy of another.
    """
    thumbnail.draft("RGB", (2 * _SIDE_PX, 2 * _SIDE_PX))  # a JPEG at a smaller scale, many times faster
    small = thumbnail.convert("RGB").resize((_SIDE_PX, _SIDE_PX), Image.Resampling.BILINEAR)
    pixels = np.asarray(small, np.float32)
    if float((pixels - pixels.mean((0, 1))).std()) < _LEAST_DETAIL:
        return None
    # Around the mean of all three channels together: their difference is the image's colour.
    around: Float32Array = (pixels - pixels.mean()).ravel()
    return around / np.linalg.norm(around)


def show_the_same(one: Float32Array | None, other: Float32Array | None) -> bool:
    """Whether two thumbnails show the same, however bright, sharp or large, and mirrored or not."""
    if one is None or other is None:
        return False
    mirrored = other.reshape(_SIDE_PX, _SIDE_PX, 3)[:, ::-1].ravel()
    return max(float(one @ other), float(one @ mirrored)) >= _ALIKE
