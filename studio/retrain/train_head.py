"""From a snapshot to a head on a backbone's bottlenecks, and to the file that answers as both do."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from studio.arrays import Float32Array, IndexArray
from studio.backbones import BackboneFile, ready
from studio.backbones.bottleneck_cache import BottleneckCache
from studio.backbones.embedding import Refusal, embed
from studio.backbones.interpreter import Engine
from studio.backbones.preprocessing import Preprocessing
from studio.errors import ModelUnreadable
from studio.i18n import _
from studio.progress import Progress
from studio.retrain.curve import CurvePoint, OnPoints
from studio.retrain.distortions import Distortions, embed_views, view_digest
from studio.retrain.head.dataset import Lesson
from studio.retrain.head.head import Head, TrainedHead, Watch, choose_l2
from studio.retrain.model_file import with_head
from studio.retrain.options import RunOptions
from studio.retrain.snapshot import Example, Snapshot

CHECKPOINT = "checkpoint.npz"
_COMPARED = 8
"""Images on which the written file must answer as the head did."""
_TOLERANCE = 1e-4
"""The largest difference of a probability that rounding explains; measured differences are below 1e-6."""


@dataclass(frozen=True)
class RunContext:
    """Where a run works, with what, and who looks on.

    bottleneck_dir, backbones_dir: shared with other runs.
    """

    run_dir: Path
    bottleneck_dir: Path
    backbones_dir: Path
    threads: int
    progress: Progress
    watches: Sequence[Watch] = ()


@dataclass(frozen=True)
class TrainResult:
    """What training came to. snapshot: without the images that could not be read, `refusals`.

    model: the file's bytes. step, validation: when the stored weights were reached, and how they did then.
    probabilities: float32, (N, classes), of the testing examples in their order.
    preprocessing: what the file takes, where that is not what the backbone takes; None where it is.
    tuned: the weights that are not the backbone's own, by name; empty where all are.
    facts: plain values, for the run's record.
    """

    snapshot: Snapshot
    refusals: tuple[Refusal, ...]
    backbone: BackboneFile
    model: bytes
    step: int
    validation: CurvePoint | None
    probabilities: Float32Array
    facts: dict[str, Any]
    preprocessing: Preprocessing | None = None
    tuned: dict[str, Float32Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Embedded:
    """A snapshot's images as a backbone sees them. lesson: see there; rows are the snapshot's examples."""

    snapshot: Snapshot
    refusals: tuple[Refusal, ...]
    lesson: Lesson
    seconds: float


@contextmanager
def embedded(
    snapshot: Snapshot, options: RunOptions, backbone: BackboneFile, means: RunContext
) -> Iterator[Embedded]:
    """Compute what bottlenecks are missing, distorted views included, and yield them all.

    Images that cannot be read are left out. Raises TooLittleToLearnFrom, Stopped.
    """
    began = time.monotonic()
    cache = BottleneckCache.of(means.bottleneck_dir, backbone)
    working = {"threads": means.threads, "progress": means.progress}
    refusals = embed(snapshot.examples, backbone, cache, **working)  # type: ignore[arg-type]
    used = snapshot.without({refusal.sha256 for refusal in refusals})
    used.check()
    digests = [example.sha256 for example in used.examples]
    training = np.flatnonzero([example.split == "training" for example in used.examples])
    distortions, views = Distortions.of(options), None
    if distortions is not None:
        count, seed = options.distorted_views, options.seed
        taught = [used.examples[at] for at in training]
        embed_views(taught, backbone, cache, distortions, count, seed, **working)  # type: ignore[arg-type]
        names = [view_digest(e.sha256, distortions, at + 1, seed) for e in taught for at in range(count)]
        rows = len(digests) + np.arange(len(names)).reshape(-1, count)
        # The image as it is stands among its views; not so with the peer, who distorts every one.
        views = rows if options.compat else np.concatenate([training[:, np.newaxis], rows], axis=1)
        digests += names
    seconds = time.monotonic() - began
    means.run_dir.mkdir(parents=True, exist_ok=True)
    # On disk, mapped: memory does not grow with the images. It goes when the array does.
    with tempfile.TemporaryFile(dir=means.run_dir) as scratch:
        vectors = np.memmap(scratch, np.float32, "w+", shape=(len(digests), backbone.features))
        try:
            cache.vectors(digests, out=vectors)
            yield Embedded(used, refusals, _lesson(used, vectors, views), seconds)
        finally:
            del vectors  # Windows cannot remove a file that is mapped


def _lesson(snapshot: Snapshot, vectors: Float32Array, views: IndexArray | None) -> Lesson:
    label_at = {label: at for at, label in enumerate(snapshot.classes)}
    splits = np.array([example.split for example in snapshot.examples])
    training = np.flatnonzero(splits == "training")
    labels = np.array([label_at[example.label] for example in snapshot.examples], np.intp)
    if views is not None:
        made = (len(vectors) - len(labels)) // len(training)
        labels = np.concatenate([labels, labels[training].repeat(made)])
    return Lesson(
        vectors, labels, training, np.flatnonzero(splits == "validation"), len(snapshot.classes), views
    )


def train_head(
    snapshot: Snapshot, options: RunOptions, means: RunContext, identity: str, on_points: OnPoints
) -> TrainResult:
    """Train a head on a backbone's bottlenecks. identity: what a checkpoint must have been written with.

    Raises TooLittleToLearnFrom, BackboneError, Stopped.
    """
    backbone = ready(options.backbone, means.backbones_dir, means.progress)
    with embedded(snapshot, options, backbone, means) as seen:
        trained, tried = choose_l2(
            seen.lesson,
            options,
            checkpoint=means.run_dir / CHECKPOINT,
            identity=identity_on(identity, backbone, seen.snapshot),
            progress=means.progress,
            on_points=on_points,
            watches=means.watches,
        )
        means.progress.report(_("Evaluating"), 0, 1)
        probabilities = trained.head.probabilities(seen.lesson.vectors[testing(seen.snapshot)])
        means.progress.report(_("Evaluating"), 1, 1)
        facts = {
            "seconds": {"bottlenecks": seen.seconds, "training": sum(head.seconds for head in tried)},
            "steps": trained.steps,
            "stopped_early": trained.stopped_early,
            "l2": trained.l2,
            "tried": [_attempt(head) for head in tried] if options.l2 is None else [],
            "fine_tuning": None,
        }
        used, refusals = seen.snapshot, seen.refusals
    means.progress.report(_("Writing the model"), 0, 1)
    model = with_head(backbone.path.read_bytes(), trained.head)
    _compare(model, trained.head, backbone, used.examples[:_COMPARED])
    return TrainResult(
        used, refusals, backbone, model, trained.step, trained.validation, probabilities, facts
    )


def identity_on(identity: str, backbone: BackboneFile, used: Snapshot) -> str:
    """Return what a checkpoint must have been written with: also weights, and images that can be read."""
    return " ".join((identity, backbone.fingerprint, backbone.preprocessing.fingerprint, used.hash))


def testing(snapshot: Snapshot) -> IndexArray:
    """Return the places of the testing examples: int, (N,)."""
    return np.flatnonzero([example.split == "testing" for example in snapshot.examples])


def _attempt(head: TrainedHead) -> dict[str, Any]:
    return {
        "what": f"l2 {head.l2:g}",
        "validation_accuracy": None if head.validation is None else head.validation.accuracy,
        "seconds": head.seconds,
    }


def _compare(model: bytes, head: Head, backbone: BackboneFile, examples: tuple[Example, ...]) -> None:
    """Raise ModelUnreadable where the file about to be written does not answer as backbone and head do.

    Asked afresh, not compared with cached bottlenecks: those may have been made with another release of
    the image libraries, whose pixels differ by a shade.
    """
    features = Engine(backbone.path.read_bytes())
    compare(
        model,
        lambda pixels: head.probabilities(features(pixels)[np.newaxis])[0],
        backbone,
        examples,
        tolerance=_TOLERANCE,
    )


def compare(
    model: bytes,
    expected: Callable[[Any], Float32Array],
    backbone: BackboneFile,
    examples: tuple[Example, ...],
    *,
    tolerance: float,
) -> None:
    """Raise ModelUnreadable where a file does not answer as it should on some images.

    expected: from pixels, uint8, (h, w, 3), to probabilities, float32, (classes,).
    """
    engine = Engine(model)
    for example in examples:
        pixels = backbone.preprocessing.read(example.path, example.path.name)
        difference = float(np.abs(expected(pixels) - engine(pixels)).max())
        if not difference <= tolerance:  # NaN included
            raise ModelUnreadable(
                _(
                    "The model file answers otherwise than the head it was made from ({difference:.3g} apart "
                    "on {name}). Nothing was kept; retrain, and report this if it comes again."
                ).format(difference=difference, name=example.path.name)
            )
