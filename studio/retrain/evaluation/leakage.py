"""Train/test leakage: test images that are near-duplicates of training images, and so overstate accuracy."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from studio.arrays import Float32Array, IndexArray
from studio.backbones import BackboneFile
from studio.backbones.bottleneck_cache import BottleneckCache
from studio.errors import ImageRefused
from studio.i18n import _
from studio.images.decode import decode
from studio.images.similarity import (
    DIFFERENT_COSINE,
    DUPLICATE_COSINE,
    HASH_ALONE_BITS,
    hamming_distance,
    perceptual_hash,
    unit_vectors,
)
from studio.progress import Progress
from studio.retrain.snapshot import Example, Snapshot

_ROWS = 8192
_HASHED_PX = 64
"""Enough for a perceptual hash; a JPEG is decoded at a smaller scale many times faster."""


LeakageCheck = Callable[[Snapshot, Float32Array | None], frozenset[str] | None]
"""Function from a snapshot and its bottlenecks to the SHA-256 of leaked test images; None where unknown.

Bottlenecks: float32, (examples, features), or a memory map; None where some of them are not cached.
"""


def find_leaked_images(
    check: LeakageCheck, snapshot: Snapshot, backbone: BackboneFile, bottleneck_dir: Path, scratch_dir: Path
) -> frozenset[str] | None:
    """Return the result of `check` on the cached bottlenecks, memory-mapped in a file in `scratch_dir`."""
    cache = BottleneckCache.of(bottleneck_dir, backbone)
    digests = [example.sha256 for example in snapshot.examples]
    with tempfile.TemporaryFile(dir=scratch_dir) as scratch:
        vectors = np.memmap(scratch, np.float32, "w+", shape=(len(digests), backbone.features))
        try:
            cache.vectors(digests, out=vectors)
        except KeyError:
            return check(snapshot, None)
        else:
            return check(snapshot, vectors)
        finally:
            del vectors  # Windows cannot remove a file that is mapped


@dataclass(frozen=True)
class FileLeakageCheck:
    """A `LeakageCheck` that compares each test image with its nearest training image.

    The thresholds are those for a project's images (docs/decisions/0034-near-duplicates.md). Perceptual
    hashes are computed only for pairs that the bottlenecks leave open. Images of a training image's duplicate
    group are leaked whatever their bottlenecks. Raises Stopped.
    """

    threads: int
    progress: Progress

    def __call__(self, snapshot: Snapshot, vectors: Float32Array | None) -> frozenset[str] | None:
        """Return the SHA-256 of the leaked test images; None without bottlenecks."""
        if vectors is None:
            return None
        examples = snapshot.examples
        splits = np.array([example.split for example in examples])
        test_rows, training_rows = np.flatnonzero(splits == "testing"), np.flatnonzero(splits == "training")
        if not len(test_rows) or not len(training_rows):
            return frozenset()
        cosines, nearest = _nearest(vectors, test_rows, training_rows, self.progress)
        groups = {examples[row].group for row in training_rows}
        leaked = (cosines >= DUPLICATE_COSINE) | np.array(
            [examples[row].group in groups for row in test_rows]
        )
        undecided = np.flatnonzero((cosines >= DIFFERENT_COSINE) & ~leaked)
        pairs = [(examples[test_rows[index]], examples[nearest[index]]) for index in undecided]
        leaked[undecided] = _are_duplicates(pairs, threads=self.threads, progress=self.progress)
        return frozenset(examples[row].sha256 for row in test_rows[leaked])


def _nearest(
    vectors: Float32Array, test_rows: IndexArray, training_rows: IndexArray, progress: Progress
) -> tuple[Float32Array, IndexArray]:
    """Return the largest cosine of each test row with a training row, and that training row."""
    phase = _("Looking for near-duplicates")
    best = np.full(len(test_rows), -1, np.float32)
    nearest = np.zeros(len(test_rows), np.intp)
    test_vectors = unit_vectors(vectors[test_rows])
    for start in range(0, len(training_rows), _ROWS):
        progress.report(phase, start, len(training_rows))
        rows = training_rows[start : start + _ROWS]
        block = unit_vectors(vectors[rows]).T
        for part in _row_slices(len(test_rows)):
            cosines = test_vectors[part] @ block
            columns = cosines.argmax(axis=1)
            largest = cosines[np.arange(len(columns)), columns]
            nearest[part] = np.where(largest > best[part], rows[columns], nearest[part])
            best[part] = np.maximum(largest, best[part])
    progress.report(phase, len(training_rows), len(training_rows))
    return best, nearest


def _row_slices(count: int) -> Iterator[slice]:
    for start in range(0, count, 1024):
        yield slice(start, start + 1024)


def _are_duplicates(
    pairs: Sequence[tuple[Example, Example]], *, threads: int, progress: Progress
) -> npt.NDArray[np.bool_]:
    """Return for each pair whether the perceptual hashes of its images match."""
    examples = list({example.sha256: example for pair in pairs for example in pair}.values())
    hashes: dict[str, int | None] = {}
    phase = _("Comparing images")
    with ThreadPoolExecutor(threads) as pool:
        for example, value in zip(examples, pool.map(_perceptual_hash, examples), strict=True):
            hashes[example.sha256] = value
            progress.report(phase, len(hashes), len(examples))
    return np.array(
        [_hashes_match(hashes[one.sha256], hashes[other.sha256]) for one, other in pairs], np.bool_
    )


def _hashes_match(one: int | None, other: int | None) -> bool:
    if one is None or other is None:
        return False
    return int(hamming_distance(np.array([one], np.uint64), np.uint64(other))[0]) <= HASH_ALONE_BITS


def _perceptual_hash(example: Example) -> int | None:
    try:
        image = decode(example.path, example.path.name, at_least_px=_HASHED_PX)
    except ImageRefused:  # removed since it was embedded: counts as different from all others
        return None
    return int(perceptual_hash(image), 16)
