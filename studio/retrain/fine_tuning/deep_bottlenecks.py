"""What a network makes of a picture before its last blocks, cached, so that those can be trained alone.

A map of numbers a view, tens of kilobytes, where an ordinary bottleneck is five: kept as float16, and no more
of it on the disk than `BOUND_BYTES`; the oldest goes first, and is computed again when it is wanted.
"""

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.language import _
from studio.progress import Progress
from studio.retrain.backbones import Backbone, BackboneFile
from studio.retrain.bottlenecks.cache import BottleneckCache
from studio.retrain.bottlenecks.embedding import Errand, Refusal, fill
from studio.retrain.fine_tuning.tap import Tap, cut
from studio.retrain.litert import converted_on_pixels, keep, kept

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
    """Return the name of a picture's mirrored view in a cache: 64 hexadecimal digits."""
    return hashlib.sha256(f"mirrored view of {sha256}".encode()).hexdigest()


def embed_deep(
    wanted: Sequence[Errand],
    front: Front,
    cache: BottleneckCache,
    *,
    threads: int,
    progress: Progress,
) -> tuple[Refusal, ...]:
    """Fill `cache` with what it lacks of the views that are wanted of each picture, reading each file once.

    wanted: pictures with the names of their views: their own SHA-256, and `mirrored_digest` of it.
    As `embed`: returns the files that could not be read, and stops with what was made written.
    """
    digests = [digest for errand in wanted for digest in errand.digests]
    missing = set(cache.missing(digests))
    errands = [
        Errand(errand.picture, lacking)
        for errand in wanted
        if (lacking := tuple(digest for digest in errand.digests if digest in missing))
    ]

    def draw(errand: Errand, content: bytes) -> list[npt.NDArray[np.uint8]]:
        pixels = front.file.preprocessing.read(content, errand.picture.path.name)
        return [
            pixels if digest == errand.picture.sha256 else np.ascontiguousarray(pixels[:, ::-1])
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
