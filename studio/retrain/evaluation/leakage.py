"""Which test images are near copies of training images: they tell nothing about images never seen."""

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
)
from studio.progress import Progress
from studio.retrain.snapshot import Example, Snapshot

_ROWS = 8192
_HASHED_PX = 64
"""An image need be no larger for its hash, and a JPEG is read at a smaller scale many times faster."""


FindCopies = Callable[[Snapshot, Float32Array | None], frozenset[str] | None]
"""Told a snapshot and its bottlenecks, says which of its test images are copies; None where it cannot.

Bottlenecks: float32, (examples, features), or a memory map of it; None where a run has not made them all.
"""


def copies_by(
    find: FindCopies, snapshot: Snapshot, backbone: BackboneFile, bottleneck_dir: Path, scratch_dir: Path
) -> frozenset[str] | None:
    """Return what `find` says, told the cached bottlenecks of the snapshot in one mapped file."""
    cache = BottleneckCache.of(bottleneck_dir, backbone)
    digests = [example.sha256 for example in snapshot.examples]
    with tempfile.TemporaryFile(dir=scratch_dir) as scratch:
        vectors = np.memmap(scratch, np.float32, "w+", shape=(len(digests), backbone.features))
        try:
            cache.vectors(digests, out=vectors)
        except KeyError:
            return find(snapshot, None)
        else:
            return find(snapshot, vectors)
        finally:
            del vectors  # Windows cannot remove a file that is mapped


@dataclass(frozen=True)
class CopiesOfFiles:
    """Finds the test images whose nearest training image is a near copy of theirs, by files alone.

    Bottlenecks and hashes decide as among a project's images (docs/decisions/0034-near-copies.md); hashes
    are made of the files of those pairs only that the bottlenecks leave open. Copies that have a group in
    common are found without. Raises Stopped.
    """

    threads: int
    progress: Progress

    def __call__(self, snapshot: Snapshot, vectors: Float32Array | None) -> frozenset[str] | None:
        """Return their SHA-256; None without bottlenecks. As `FindCopies` has it."""
        if vectors is None:
            return None
        examples = snapshot.examples
        splits = np.array([example.split for example in examples])
        tested, trained = np.flatnonzero(splits == "testing"), np.flatnonzero(splits == "training")
        if not len(tested) or not len(trained):
            return frozenset()
        cosines, nearest = _nearest(vectors, tested, trained, self.progress)
        groups = {examples[at].group for at in trained}
        copies = (cosines >= DUPLICATE_COSINE) | np.array([examples[at].group in groups for at in tested])
        opened = np.flatnonzero((cosines >= DIFFERENT_COSINE) & ~copies)
        pairs = [(examples[tested[at]], examples[nearest[at]]) for at in opened]
        copies[opened] = _alike(pairs, threads=self.threads, progress=self.progress)
        return frozenset(examples[at].sha256 for at in tested[copies])


def _nearest(
    vectors: Float32Array, tested: IndexArray, trained: IndexArray, progress: Progress
) -> tuple[Float32Array, IndexArray]:
    """Return for each of `tested` the largest cosine with one of `trained`, and which one that is."""
    phase = _("Looking for near copies")
    best = np.full(len(tested), -1, np.float32)
    nearest = np.zeros(len(tested), np.intp)
    asked = _directions(vectors[tested])
    for start in range(0, len(trained), _ROWS):
        progress.report(phase, start, len(trained))
        rows = trained[start : start + _ROWS]
        block = _directions(vectors[rows]).T
        for part in _parts(len(tested)):
            cosines = asked[part] @ block
            at = cosines.argmax(axis=1)
            found = cosines[np.arange(len(at)), at]
            better = found > best[part]
            nearest[part] = np.where(better, rows[at], nearest[part])
            best[part] = np.maximum(found, best[part])
    progress.report(phase, len(trained), len(trained))
    return best, nearest


def _parts(count: int) -> Iterator[slice]:
    for start in range(0, count, 1024):
        yield slice(start, start + 1024)


def _directions(vectors: Float32Array) -> Float32Array:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions: Float32Array = vectors / np.maximum(lengths, 1e-12, dtype=np.float32)
    return directions


def _alike(
    pairs: Sequence[tuple[Example, Example]], *, threads: int, progress: Progress
) -> npt.NDArray[np.bool_]:
    """Return for each pair whether its images' hashes are near each other."""
    by_digest = {example.sha256: example for pair in pairs for example in pair}
    hashes: dict[str, int | None] = {}
    phase = _("Comparing images")
    with ThreadPoolExecutor(threads) as pool:
        for example, made in zip(by_digest.values(), pool.map(_hash, by_digest.values()), strict=True):
            hashes[example.sha256] = made
            progress.report(phase, len(hashes), len(by_digest))
    return np.array([_near(hashes[one.sha256], hashes[other.sha256]) for one, other in pairs], np.bool_)


def _near(one: int | None, other: int | None) -> bool:
    if one is None or other is None:
        return False
    return int(hamming_distance(np.array([one], np.uint64), np.uint64(other))[0]) <= HASH_ALONE_BITS


def _hash(example: Example) -> int | None:
    try:
        image = decode(example.path, example.path.name, at_least_px=_HASHED_PX)
    except ImageRefused:  # gone since it was embedded: then it is a copy of nothing
        return None
    return int(perceptual_hash(image), 16)
