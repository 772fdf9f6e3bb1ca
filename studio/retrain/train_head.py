"""Training of a head on a backbone's bottlenecks: embedding, training, and the model file with both."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from studio.arrays import Float32Array, IndexArray
from studio.backbones import BackboneFile, prepare_backbone
from studio.backbones.bottleneck_cache import BottleneckCache
from studio.backbones.embedding import SkippedFile, embed
from studio.backbones.interpreter import LiteRTInterpreter
from studio.backbones.preprocessing import Preprocessing
from studio.errors import ModelUnreadable
from studio.i18n import _
from studio.progress import Progress
from studio.retrain.curve import CurvePoint, OnPoints
from studio.retrain.distortions import Distortions, embed_views, view_digest
from studio.retrain.evaluation.leakage import LeakageCheck
from studio.retrain.head.dataset import HeadDataset
from studio.retrain.head.head import Head, HeadCallback, TrainedHead, TrainingContext, search_l2
from studio.retrain.model_file import attach_head
from studio.retrain.options import RunOptions
from studio.retrain.snapshot import Example, Snapshot

CHECKPOINT = "checkpoint.npz"
_CHECKED_IMAGES = 8
"""Images on which the model file must give the head's probabilities."""
_TOLERANCE = 1e-4
"""Largest difference of a probability that rounding explains; measured differences are below 1e-6."""


def ignore_points(_points: Sequence[CurvePoint]) -> None:
    """Discard the points of a training curve."""


@dataclass(frozen=True)
class RunContext:
    """The folders, threads, progress and callbacks of a run.

    bottleneck_dir, backbones_dir: shared with other runs.
    on_points: receives the points of the training curve. callbacks: receive the head during training.
    summaries_dir: of TensorBoard's event files; `summaries` in `run_dir` by default.
    write_attribution: writes the credits of a snapshot's images into a folder, where they are known.
    check_leakage: finds test images that are near-duplicates of training images; by default by their
    bottlenecks and files.
    """

    run_dir: Path
    bottleneck_dir: Path
    backbones_dir: Path
    threads: int
    progress: Progress
    on_points: OnPoints = ignore_points
    callbacks: Sequence[HeadCallback] = ()
    summaries_dir: Path | None = None
    write_attribution: Callable[[Snapshot, Path], None] | None = None
    check_leakage: LeakageCheck | None = None

    def training(self, checkpoint: str, identity: str, on_points: OnPoints) -> TrainingContext:
        """Return the context of one training without callbacks. checkpoint: file name in the run's folder."""
        return TrainingContext(self.run_dir / checkpoint, identity, self.progress, on_points)


@dataclass(frozen=True)
class TrainResult:
    """The result of training.

    snapshot: without the images that could not be read, which are in `skipped`.
    model: the file's bytes.
    step, validation: step at which the stored weights were reached, and their validation point.
    probabilities: float32, (N, classes), of the test examples in their order.
    facts: JSON values for the run's record.
    preprocessing: of the model file, if it differs from the backbone's; else None.
    tuned_weights: weights that differ from the backbone's own, by name; empty if none do.
    """

    snapshot: Snapshot
    skipped: tuple[SkippedFile, ...]
    backbone: BackboneFile
    model: bytes
    step: int
    validation: CurvePoint | None
    probabilities: Float32Array
    facts: dict[str, Any]
    preprocessing: Preprocessing | None = None
    tuned_weights: dict[str, Float32Array] = field(default_factory=dict)


@dataclass(frozen=True)
class EmbeddedSnapshot:
    """A snapshot with the bottlenecks of its images.

    dataset: its first rows are the snapshot's examples in their order, followed by distorted views.
    seconds: taken by the embedding.
    """

    snapshot: Snapshot
    skipped: tuple[SkippedFile, ...]
    dataset: HeadDataset
    seconds: float


def train_head(snapshot: Snapshot, options: RunOptions, context: RunContext, identity: str) -> TrainResult:
    """Train a head on a backbone's bottlenecks. identity: of the checkpoint, see `TrainingContext`.

    Raises TooFewImages, BackboneError, Stopped.
    """
    backbone = prepare_backbone(options.backbone, context.backbones_dir, context.progress)
    with embed_snapshot(snapshot, options, backbone, context) as embedded:
        training = TrainingContext(
            context.run_dir / CHECKPOINT,
            checkpoint_identity(identity, backbone, embedded.snapshot),
            context.progress,
            context.on_points,
            context.callbacks,
        )
        trained, heads = search_l2(embedded.dataset, options, training)
        context.progress.report(_("Evaluating"), 0, 1)
        probabilities = trained.head.probabilities(embedded.dataset.vectors[testing_rows(embedded.snapshot)])
        context.progress.report(_("Evaluating"), 1, 1)
        facts = {
            "seconds": {"bottlenecks": embedded.seconds, "training": sum(head.seconds for head in heads)},
            "steps": trained.steps,
            "stopped_early": trained.stopped_early,
            "l2": trained.l2,
            "tried": [_trial_record(head) for head in heads] if options.l2 is None else [],
            "fine_tuning": None,
        }
        used, skipped = embedded.snapshot, embedded.skipped
    context.progress.report(_("Writing the model"), 0, 1)
    model = attach_head(backbone.path.read_bytes(), trained.head)
    _check_head_model(model, trained.head, backbone, used.examples[:_CHECKED_IMAGES])
    return TrainResult(used, skipped, backbone, model, trained.step, trained.validation, probabilities, facts)


@contextmanager
def embed_snapshot(
    snapshot: Snapshot, options: RunOptions, backbone: BackboneFile, context: RunContext
) -> Iterator[EmbeddedSnapshot]:
    """Compute the missing bottlenecks, including those of distorted views, and yield all of them.

    Images that cannot be read are skipped. Raises TooFewImages, Stopped.
    """
    started = time.monotonic()
    cache = BottleneckCache.of(context.bottleneck_dir, backbone)
    skipped = embed(snapshot.examples, backbone, cache, threads=context.threads, progress=context.progress)
    used = snapshot.without({file.sha256 for file in skipped})
    used.check()
    digests = [example.sha256 for example in used.examples]
    training = np.flatnonzero([example.split == "training" for example in used.examples])
    distortions, views = Distortions.of(options), None
    if distortions is not None:
        count, seed = options.distorted_views, options.seed
        images = [used.examples[row] for row in training]
        embed_views(
            images,
            backbone,
            cache,
            distortions,
            count,
            seed,
            threads=context.threads,
            progress=context.progress,
        )
        view_digests = [
            view_digest(image.sha256, distortions, at + 1, seed) for image in images for at in range(count)
        ]
        rows = len(digests) + np.arange(len(view_digests)).reshape(-1, count)
        # The undistorted image is one of the views; `retrain.py` distorts every image.
        views = rows if options.compat else np.concatenate([training[:, np.newaxis], rows], axis=1)
        digests += view_digests
    seconds = time.monotonic() - started
    context.run_dir.mkdir(parents=True, exist_ok=True)
    # A memory map on a temporary file: memory does not grow with the number of images.
    with tempfile.TemporaryFile(dir=context.run_dir) as scratch:
        vectors = np.memmap(scratch, np.float32, "w+", shape=(len(digests), backbone.features))
        try:
            cache.vectors(digests, out=vectors)
            yield EmbeddedSnapshot(used, skipped, _head_dataset(used, vectors, views), seconds)
        finally:
            del vectors  # Windows cannot remove a file that is mapped


def checkpoint_identity(identity: str, backbone: BackboneFile, used: Snapshot) -> str:
    """Return a run's identity extended by the weights, the preprocessing and the readable images."""
    return " ".join((identity, backbone.fingerprint, backbone.preprocessing.fingerprint, used.hash))


def testing_rows(snapshot: Snapshot) -> IndexArray:
    """Return the indices of the test examples: int, (N,)."""
    return np.flatnonzero([example.split == "testing" for example in snapshot.examples])


def check_model_file(
    model: bytes,
    expected: Callable[[Any], Float32Array],
    backbone: BackboneFile,
    examples: tuple[Example, ...],
    *,
    tolerance: float,
) -> None:
    """Raise ModelUnreadable if a model file does not give the expected probabilities on some images.

    expected: from pixels, uint8, (h, w, 3), to probabilities, float32, (classes,).
    """
    interpreter = LiteRTInterpreter(model)
    for example in examples:
        pixels = backbone.preprocessing.read(example.path, example.path.name)
        difference = float(np.abs(expected(pixels) - interpreter(pixels)).max())
        if not difference <= tolerance:  # NaN included
            raise ModelUnreadable(
                _(
                    "expected the probabilities of the trained head from the model file; they differ by "
                    "{difference:.3g} on {name}. No model was saved. Train again, and report this "
                    "if it recurs."
                ).format(difference=difference, name=example.path.name)
            )


def _head_dataset(snapshot: Snapshot, vectors: Float32Array, views: IndexArray | None) -> HeadDataset:
    label_at = {label: at for at, label in enumerate(snapshot.classes)}
    splits = np.array([example.split for example in snapshot.examples])
    training = np.flatnonzero(splits == "training")
    labels = np.array([label_at[example.label] for example in snapshot.examples], np.intp)
    if views is not None:
        view_count = (len(vectors) - len(labels)) // len(training)
        labels = np.concatenate([labels, labels[training].repeat(view_count)])
    return HeadDataset(
        vectors, labels, training, np.flatnonzero(splits == "validation"), len(snapshot.classes), views
    )


def _trial_record(head: TrainedHead) -> dict[str, Any]:
    return {
        "what": f"l2 {head.l2:g}",
        "validation_accuracy": None if head.validation is None else head.validation.accuracy,
        "seconds": head.seconds,
    }


def _check_head_model(
    model: bytes, head: Head, backbone: BackboneFile, examples: tuple[Example, ...]
) -> None:
    """Raise ModelUnreadable if the model file differs from the backbone and head it was made from.

    Computes features again instead of using cached bottlenecks: those may come from another version of the
    image libraries, whose pixels differ slightly.
    """
    features = LiteRTInterpreter(backbone.path.read_bytes())
    check_model_file(
        model,
        lambda pixels: head.probabilities(features(pixels)[np.newaxis])[0],
        backbone,
        examples,
        tolerance=_TOLERANCE,
    )
