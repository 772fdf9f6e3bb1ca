"""What a network makes of an image before its last blocks, cached, so that those can be trained alone.

A map of numbers a view, tens of kilobytes, where an ordinary bottleneck is five: kept as float16, and no more
of it on the disk than `BOUND_BYTES`; the oldest goes first, and is computed again when it is wanted.
"""

import hashlib
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.arrays import IndexArray
from studio.backbones import Backbone, BackboneFile
from studio.backbones.bottleneck_cache import BottleneckCache
from studio.backbones.conversion import converted_on_pixels, keep, kept
from studio.backbones.embedding import EmbeddingRequest, Refusal, fill
from studio.i18n import _
from studio.progress import Progress
from studio.retrain.distortions import Distortions, embed_views, view_digest
from studio.retrain.fine_tuning.network import Tap, cut
from studio.retrain.options import RunOptions
from studio.retrain.snapshot import Example, Snapshot, evenly

BOUND_BYTES = 4 << 30
"""All deep bottlenecks together: 110,000 views of EfficientNet-Lite0 before its last blocks."""
_FOLDER = "deep"
_DTYPE = "<f2"
_one_conversion = threading.Lock()


@dataclass(frozen=True)
class Front:
    """A backbone up to a tap. file: its LiteRT file, whose output is the map laid flat."""

    tap: Tap
    file: BackboneFile

    @property
    def view_bytes(self) -> int:
        """What a view takes on the disk."""
        return self.file.features * np.dtype(_DTYPE).itemsize


def front_of(backbone: Backbone, network: Any, tap: Tap, backbones_dir: Path, progress: Progress) -> Front:
    """Return a backbone's front, converted on first use. network: `backbone.network()`.

    It lies beside the backbone's own file, under a name that ends in its content's hash.
    """
    # Layers' names may hold what a file's may not.
    cut_at = f"{tap.name} at {backbone.preprocessing.width_px} px"
    at = hashlib.sha256(cut_at.encode()).hexdigest()[:8]
    fingerprint = f"{backbone.fingerprint}-{at}"
    stem = f"{backbone.name}-before-{fingerprint}"
    with _one_conversion:
        path = kept(backbones_dir, stem) or keep(
            backbones_dir,
            stem,
            lambda: _converted(backbone, network, tap),
            phase=_("Preparing the backbone's front"),
            progress=progress,
        )
    features = int(np.prod(tap.shape))
    return Front(tap, BackboneFile(path, backbone.name, fingerprint, backbone.preprocessing, features))


def _converted(backbone: Backbone, network: Any, tap: Tap) -> bytes:
    import keras

    front, _behind = cut(network, tap)
    scaling = backbone.preprocessing.scaling_layer()
    return converted_on_pixels(
        lambda pixels: keras.layers.Reshape((-1,))(front(scaling(pixels))), backbone.preprocessing
    )


def cache_of(bottleneck_dir: Path, front: Front) -> BottleneckCache:
    """Return the cache of a front inside `bottleneck_dir`, beside the ordinary ones."""
    name = f"{front.file.fingerprint}-{front.file.preprocessing.fingerprint}"
    return BottleneckCache(bottleneck_dir / _FOLDER / name, front.file.features, _DTYPE)


def mirrored_digest(sha256: str) -> str:
    """Return the name of an image's mirrored view in a cache: 64 hexadecimal digits."""
    return hashlib.sha256(f"mirrored view of {sha256}".encode()).hexdigest()


def embed_deep(
    wanted: Sequence[EmbeddingRequest],
    front: Front,
    cache: BottleneckCache,
    *,
    threads: int,
    progress: Progress,
) -> tuple[Refusal, ...]:
    """Fill `cache` with what it lacks of the views that are wanted of each image, reading each file once.

    wanted: images with the names of their views: their own SHA-256, and `mirrored_digest` of it.
    As `embed`: returns the files that could not be read, and stops with what was made written.
    """
    digests = [digest for errand in wanted for digest in errand.digests]
    missing = set(cache.missing(digests))
    errands = [
        EmbeddingRequest(errand.image, lacking)
        for errand in wanted
        if (lacking := tuple(digest for digest in errand.digests if digest in missing))
    ]

    def draw(errand: EmbeddingRequest, content: bytes) -> list[npt.NDArray[np.uint8]]:
        pixels = front.file.preprocessing.read(content, errand.image.path.name)
        return [
            pixels if digest == errand.image.sha256 else np.ascontiguousarray(pixels[:, ::-1])
            for digest in errand.digests
        ]

    return fill(
        cache,
        errands,
        front.file,
        draw,
        phase=_("Computing deep bottlenecks"),
        total=len(digests),
        threads=threads,
        progress=progress,
    )


def make_room(cache: BottleneckCache, wanted: Sequence[str], bound_bytes: int = BOUND_BYTES) -> None:
    """Remove the oldest shards of deep bottlenecks until what a cache lacks of `wanted` fits in the bound.

    What is wanted and there stays.
    """
    names = set(wanted)
    # By the index alone: gigabytes are read and checked once, when they are used.
    views, stay = len(names) - cache.count(names), cache.shards(wanted)
    shards = sorted(cache.folder.parent.glob("*/*.npy"), key=lambda path: path.name)
    sizes = {path: path.stat().st_size for path in shards}
    over = sum(sizes.values()) + views * cache.features * cache.dtype.itemsize - bound_bytes
    for path in shards:
        if over <= 0:
            break
        if path not in stay:
            path.unlink(missing_ok=True)
            over -= sizes[path]


BATCH = 32
_USUAL = Distortions(flip_left_right=True, random_crop=10, random_scale=30, random_brightness=15)
"""What is done where a run asks for no distortion of its own: few images have too little to tell."""
_USUAL_VIEWS = 6
_USUAL_IN_ALL = 4000
"""Distorted views of all images together: where there are many images, they are needed less."""


@dataclass(frozen=True)
class DeepLesson:
    """training: float16, (N, views, h, w, channels), mapped; validation: (M, h, w, channels), likewise.

    Labels: int, (N,) and (M,).
    """

    training: npt.NDArray[np.float16]
    labels: IndexArray
    validation: npt.NDArray[np.float16]
    validation_labels: IndexArray

    @property
    def epoch_steps(self) -> int:
        """Batches until as many images have been asked as there are."""
        return -(-len(self.labels) // BATCH)


@contextmanager
def deep_lesson(
    used: Snapshot,
    options: RunOptions,
    front: Front,
    cache: BottleneckCache,
    *,
    scratch_dir: Path,
    threads: int,
    progress: Progress,
    bound_bytes: int = BOUND_BYTES,
) -> Iterator[DeepLesson]:
    """Compute what is missing of a snapshot's deep bottlenecks, and yield them.

    Training images have two views, plain and mirrored, and distorted ones as `distorted` says. Of more
    images than fit within the bound some are left out, of the large classes first.
    """
    training, validation = used.of_split("training"), used.of_split("validation")
    distortions, count, seed = distorted(options, len(training))
    training = evenly(training, (bound_bytes // front.view_bytes - len(validation)) // (2 + count))
    views = [
        (
            *(example.sha256, mirrored_digest(example.sha256)),
            *(view_digest(example.sha256, distortions, at + 1, seed) for at in range(count)),
        )
        for example in training
    ]
    digests = [*chain.from_iterable(views), *(example.sha256 for example in validation)]
    make_room(cache, digests, bound_bytes)
    wanted = [EmbeddingRequest(example, names[:2]) for example, names in zip(training, views, strict=True)]
    wanted += [EmbeddingRequest(example, (example.sha256,)) for example in validation]
    working: dict[str, Any] = {"threads": threads, "progress": progress}
    embed_deep(wanted, front, cache, **working)
    if count:
        embed_views(training, front.file, cache, distortions, count, seed, **working)
    with tempfile.TemporaryFile(dir=scratch_dir) as scratch:
        maps = np.memmap(scratch, np.float16, "w+", shape=(len(digests), front.file.features))
        try:
            cache.vectors(digests, out=maps)
            split = len(training) * (2 + count)
            yield DeepLesson(
                maps[:split].reshape(len(training), -1, *front.tap.shape),
                _labels(training, used),
                maps[split:].reshape(-1, *front.tap.shape),
                _labels(validation, used),
            )
        finally:
            del maps  # Windows cannot remove a file that is mapped


def distorted(options: RunOptions, images: int) -> tuple[Distortions, int, int]:
    """Return how `images` training images are distorted, in how many views each, and by which seed.

    As the run asks; where it does not, lightly, and the fewer views the more images there are. Those
    hang on no seed of the run's, so that the next run finds them in the cache.
    """
    asked = Distortions.of(options)
    if asked is not None:
        return asked, options.distorted_views, options.seed
    return _USUAL, min(_USUAL_VIEWS, _USUAL_IN_ALL // max(images, 1)), 0


def _labels(examples: Sequence[Example], used: Snapshot) -> IndexArray:
    label_at = {label: at for at, label in enumerate(used.classes)}
    return np.array([label_at[example.label] for example in examples], np.intp)
