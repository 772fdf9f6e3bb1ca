"""Feature maps: the outputs of a backbone's frozen blocks, cached as the input of its trainable blocks.

A feature map takes tens of kilobytes per view, an ordinary bottleneck five. They are stored as float16 in at
most `CACHE_LIMIT_BYTES`; the oldest are removed first and computed again when they are needed.
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
from studio.backbones.conversion import cached_file, convert_on_pixels, write_cached_file
from studio.backbones.embedding import EmbeddingRequest, SkippedFile, embed_requests
from studio.i18n import _
from studio.progress import Progress
from studio.retrain.distortions import Distortions, embed_views, view_digest
from studio.retrain.fine_tuning.network import SplitLayer, split_network
from studio.retrain.options import RunOptions
from studio.retrain.snapshot import Example, Snapshot, sample_evenly

CACHE_LIMIT_BYTES = 4 << 30
"""Size of all cached feature maps: 110,000 views of EfficientNet-Lite0 before its last blocks."""
BATCH_SIZE = 32
_FOLDER = "deep"
_DTYPE = "<f2"
_DEFAULT_DISTORTIONS = Distortions(
    flip_left_right=True, random_crop=10, random_scale=30, random_brightness=15
)
"""The distortions of a run that chooses none: a small training set has too little variation."""
_DEFAULT_VIEWS = 6
_DEFAULT_VIEWS_IN_TOTAL = 4000
"""Distorted views of all images together: the larger the training set, the less it needs them."""
_conversion_lock = threading.Lock()


@dataclass(frozen=True)
class FrozenBlocks:
    """A backbone up to its split layer. file: its LiteRT file, whose output is the flattened feature map."""

    split_layer: SplitLayer
    file: BackboneFile

    @property
    def view_bytes(self) -> int:
        """Size of a view's feature map in the cache."""
        return self.file.features * np.dtype(_DTYPE).itemsize


@dataclass(frozen=True)
class FeatureMapDataset:
    """The feature maps and labels that trainable blocks are trained and validated on.

    training: float16, (N, views, h, w, channels), mapped; validation: float16, (M, h, w, channels), mapped.
    labels: int, (N,); validation_labels: int, (M,).
    """

    training: npt.NDArray[np.float16]
    labels: IndexArray
    validation: npt.NDArray[np.float16]
    validation_labels: IndexArray

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in an epoch."""
        return -(-len(self.labels) // BATCH_SIZE)


def prepare_frozen_blocks(
    backbone: Backbone, network: Any, split_layer: SplitLayer, backbones_dir: Path, progress: Progress
) -> FrozenBlocks:
    """Return a backbone's frozen blocks, converted on first use. network: `backbone.network()`.

    The file is stored beside the backbone's own, under a name that ends in its content's hash.
    """
    # Layer names may contain characters that file names may not.
    key = f"{split_layer.name} at {backbone.preprocessing.width_px} px"
    fingerprint = f"{backbone.fingerprint}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
    stem = f"{backbone.name}-before-{fingerprint}"
    with _conversion_lock:
        path = cached_file(backbones_dir, stem) or write_cached_file(
            backbones_dir,
            stem,
            lambda: _convert_frozen_blocks(backbone, network, split_layer),
            phase=_("Preparing the frozen blocks"),
            progress=progress,
        )
    features = int(np.prod(split_layer.shape))
    file = BackboneFile(path, backbone.name, fingerprint, backbone.preprocessing, features)
    return FrozenBlocks(split_layer, file)


def _convert_frozen_blocks(backbone: Backbone, network: Any, split_layer: SplitLayer) -> bytes:
    import keras

    frozen, _trainable = split_network(network, split_layer)
    scaling = backbone.preprocessing.scaling_layer()
    return convert_on_pixels(
        lambda pixels: keras.layers.Reshape((-1,))(frozen(scaling(pixels))), backbone.preprocessing
    )


def feature_map_cache(bottleneck_dir: Path, blocks: FrozenBlocks) -> BottleneckCache:
    """Return the cache of feature maps inside `bottleneck_dir`, beside the ordinary bottlenecks."""
    name = f"{blocks.file.fingerprint}-{blocks.file.preprocessing.fingerprint}"
    return BottleneckCache(bottleneck_dir / _FOLDER / name, blocks.file.features, _DTYPE)


@contextmanager
def feature_map_dataset(
    snapshot: Snapshot,
    options: RunOptions,
    blocks: FrozenBlocks,
    cache: BottleneckCache,
    *,
    scratch_dir: Path,
    threads: int,
    progress: Progress,
    limit_bytes: int = CACHE_LIMIT_BYTES,
) -> Iterator[FeatureMapDataset]:
    """Compute the missing feature maps of a snapshot, and yield the dataset.

    Training images have a plain view, a mirrored one, and distorted ones by `view_settings`. If the views of
    all images exceed the limit, some images are left out, of the large classes first.
    """
    training, validation = snapshot.of_split("training"), snapshot.of_split("validation")
    distortions, count, seed = view_settings(options, len(training))
    training = sample_evenly(training, (limit_bytes // blocks.view_bytes - len(validation)) // (2 + count))
    views = [
        (
            *(example.sha256, mirrored_digest(example.sha256)),
            *(view_digest(example.sha256, distortions, at + 1, seed) for at in range(count)),
        )
        for example in training
    ]
    digests = [*chain.from_iterable(views), *(example.sha256 for example in validation)]
    evict_shards(cache, digests, limit_bytes)
    requests = [EmbeddingRequest(example, names[:2]) for example, names in zip(training, views, strict=True)]
    requests += [EmbeddingRequest(example, (example.sha256,)) for example in validation]
    embed_feature_maps(requests, blocks, cache, threads=threads, progress=progress)
    if count:
        embed_views(
            training, blocks.file, cache, distortions, count, seed, threads=threads, progress=progress
        )
    with tempfile.TemporaryFile(dir=scratch_dir) as scratch:
        maps = np.memmap(scratch, np.float16, "w+", shape=(len(digests), blocks.file.features))
        try:
            cache.vectors(digests, out=maps)
            training_rows = len(training) * (2 + count)
            yield FeatureMapDataset(
                maps[:training_rows].reshape(len(training), -1, *blocks.split_layer.shape),
                _labels(training, snapshot),
                maps[training_rows:].reshape(-1, *blocks.split_layer.shape),
                _labels(validation, snapshot),
            )
        finally:
            del maps  # Windows cannot remove a file that is mapped


def view_settings(options: RunOptions, images: int) -> tuple[Distortions, int, int]:
    """Return the distortions, number and seed of the distorted views of each of `images` training images.

    If the options choose no distortion, they are light, and fewer the more images there are; they do not
    depend on the run's seed, so that the next run finds them in the cache.
    """
    chosen = Distortions.of(options)
    if chosen is not None:
        return chosen, options.distorted_views, options.seed
    return _DEFAULT_DISTORTIONS, min(_DEFAULT_VIEWS, _DEFAULT_VIEWS_IN_TOTAL // max(images, 1)), 0


def mirrored_digest(sha256: str) -> str:
    """Return the cache key of an image's mirrored view: 64 hexadecimal digits."""
    return hashlib.sha256(f"mirrored view of {sha256}".encode()).hexdigest()


def embed_feature_maps(
    requests: Sequence[EmbeddingRequest],
    blocks: FrozenBlocks,
    cache: BottleneckCache,
    *,
    threads: int,
    progress: Progress,
) -> tuple[SkippedFile, ...]:
    """Compute the missing feature maps of plain and mirrored views into `cache`, reading each file once.

    requests: images with the cache keys of their views: their own SHA-256 and its `mirrored_digest`.
    Returns the files that could not be read. Stop behaves as in `embed`.
    """
    digests = [digest for request in requests for digest in request.digests]
    missing = set(cache.missing(digests))
    open_requests = [
        EmbeddingRequest(request.image, absent)
        for request in requests
        if (absent := tuple(digest for digest in request.digests if digest in missing))
    ]

    def render(request: EmbeddingRequest, content: bytes) -> list[npt.NDArray[np.uint8]]:
        pixels = blocks.file.preprocessing.read(content, request.image.path.name)
        return [
            pixels if digest == request.image.sha256 else np.ascontiguousarray(pixels[:, ::-1])
            for digest in request.digests
        ]

    return embed_requests(
        cache,
        open_requests,
        blocks.file,
        render,
        phase=_("Computing feature maps"),
        total=len(digests),
        threads=threads,
        progress=progress,
    )


def evict_shards(
    cache: BottleneckCache, digests: Sequence[str], limit_bytes: int = CACHE_LIMIT_BYTES
) -> None:
    """Remove the oldest shards of feature maps until the missing ones of `digests` fit into the limit.

    Shards that contain any of `digests` are kept.
    """
    wanted = set(digests)
    # Uses the index alone: the gigabytes of vectors are read and checked once, when they are used.
    missing, keep = len(wanted) - cache.count(wanted), cache.shards(digests)
    shards = sorted(cache.folder.parent.glob("*/*.npy"), key=lambda path: path.name)
    sizes = {path: path.stat().st_size for path in shards}
    excess = sum(sizes.values()) + missing * cache.features * cache.dtype.itemsize - limit_bytes
    for path in shards:
        if excess <= 0:
            break
        if path not in keep:
            path.unlink(missing_ok=True)
            excess -= sizes[path]


def _labels(examples: Sequence[Example], snapshot: Snapshot) -> IndexArray:
    label_at = {label: at for at, label in enumerate(snapshot.classes)}
    return np.array([label_at[example.label] for example in examples], np.intp)
