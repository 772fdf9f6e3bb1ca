"""What a network's tail learns from: deep bottlenecks of a snapshot's pictures, side by side in one file."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.arrays import IndexArray
from studio.progress import Progress
from studio.retrain.bottlenecks.cache import BottleneckCache
from studio.retrain.bottlenecks.distortions import Distortions, embed_views, view_digest
from studio.retrain.bottlenecks.embedding import Errand
from studio.retrain.fine_tuning.deep_bottlenecks import (
    BOUND_BYTES,
    Front,
    embed_deep,
    make_room,
    mirrored_digest,
)
from studio.retrain.options import RunOptions
from studio.retrain.snapshot import Example, Snapshot, evenly

BATCH = 32
_USUAL = Distortions(flip_left_right=True, random_crop=10, random_scale=30, random_brightness=15)
"""What is done where a run asks for no distortion of its own: few pictures have too little to tell."""
_USUAL_VIEWS = 6
_USUAL_IN_ALL = 4000
"""Distorted views of all pictures together: where there are many pictures, they are needed less."""


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
        """Batches until as many pictures have been asked as there are."""
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

    Training pictures have two views, plain and mirrored, and distorted ones as `distorted` says. Of more
    pictures than fit within the bound some are left out, of the large classes first.
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
    wanted = [Errand(example, names[:2]) for example, names in zip(training, views, strict=True)]
    wanted += [Errand(example, (example.sha256,)) for example in validation]
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


def distorted(options: RunOptions, pictures: int) -> tuple[Distortions, int, int]:
    """Return how `pictures` training pictures are distorted, in how many views each, and by which seed.

    As the run asks; where it does not, lightly, and the fewer views the more pictures there are. Those
    hang on no seed of the run's, so that the next run finds them in the cache.
    """
    asked = Distortions.of(options)
    if asked is not None:
        return asked, options.distorted_views, options.seed
    return _USUAL, min(_USUAL_VIEWS, _USUAL_IN_ALL // max(pictures, 1)), 0


def _labels(examples: Sequence[Example], used: Snapshot) -> IndexArray:
    label_at = {label: at for at, label in enumerate(used.classes)}
    return np.array([label_at[example.label] for example in examples], np.intp)
