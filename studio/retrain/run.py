"""A run: from a snapshot to a folder with a model that answers."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from studio.atomic import atomic_bytes, atomic_text
from studio.errors import JobFailed, ModelUnreadable
from studio.language import _
from studio.progress import Progress
from studio.retrain.backbones import BackboneFile, ready
from studio.retrain.bottlenecks import BottleneckCache
from studio.retrain.curve import CurvePoint, OnPoints
from studio.retrain.embedding import Refusal, embed
from studio.retrain.engine import Engine
from studio.retrain.evaluation import Evaluation
from studio.retrain.head import Head, Lesson, TrainedHead, train_head
from studio.retrain.model_file import with_head
from studio.retrain.options import RunOptions
from studio.retrain.run_folder import (
    CARD,
    LABELS,
    MODEL,
    SNAPSHOT,
    SUMMARIES,
    altered,
    labels_text,
    read_card,
    read_labels,
    read_model,
    write_card,
)
from studio.retrain.snapshot import Example, Snapshot
from studio.retrain.summaries import SummaryWriter

_CHECKPOINT = "checkpoint.npz"
_COMPARED = 8
"""Pictures on which the written file must answer as the head did."""
_TOLERANCE = 1e-4
"""The largest difference of a probability that rounding explains; measured differences are below 1e-6."""


@dataclass(frozen=True)
class RunResult:
    """A finished run. refusals: files that were left out; warnings: why its figures may be weak.

    step, validation: when the stored head was reached and how it did then; validation is None without
    validation pictures.
    """

    run_dir: Path
    snapshot: Snapshot
    options: RunOptions
    evaluation: Evaluation
    step: int
    validation: CurvePoint | None
    model_sha256: str
    refusals: tuple[Refusal, ...]
    warnings: tuple[str, ...]


def retrain(
    snapshot: Snapshot,
    options: RunOptions,
    *,
    run_dir: Path,
    bottleneck_dir: Path,
    backbones_dir: Path,
    threads: int,
    progress: Progress,
    on_points: OnPoints,
    summaries_dir: Path | None = None,
    attribute: Callable[[Snapshot, Path], None] | None = None,
) -> RunResult:
    """Train on `snapshot` and leave a model in `run_dir`.

    Called again after a kill or a stop, with the same arguments, it goes on from where it stood; on a
    finished run it only reads the result. Pictures that cannot be read are left out of the snapshot.
    summaries_dir: where TensorBoard's event files go; `summaries` in `run_dir` by default.
    attribute: writes into a folder whose the pictures of a snapshot are, where that is known.
    Raises TooLittleToLearnFrom, BackboneError, Stopped, and JobFailed when the folder holds another run.
    """
    if (run_dir / CARD).exists():
        return _finished(snapshot, options, run_dir)
    snapshot.check()
    backbone = ready(options.backbone, backbones_dir, progress)
    cache = BottleneckCache.of(bottleneck_dir, backbone)
    refusals = embed(snapshot.examples, backbone, cache, threads=threads, progress=progress)
    used = snapshot.without({refusal.sha256 for refusal in refusals})
    warnings = used.check()

    run_dir.mkdir(parents=True, exist_ok=True)
    # On disk, mapped: memory does not grow with the pictures. It goes when the array does.
    with tempfile.TemporaryFile(dir=run_dir) as scratch:
        shape = (len(used.examples), backbone.features)
        vectors = np.memmap(scratch, np.float32, "w+", shape=shape)
        cache.vectors([example.sha256 for example in used.examples], out=vectors)
        with SummaryWriter(summaries_dir or run_dir / SUMMARIES) as summaries:

            def tell(points: Sequence[CurvePoint]) -> None:
                summaries.write(points)
                on_points(points)

            trained = train_head(
                _lesson(used, vectors),
                options,
                checkpoint=run_dir / _CHECKPOINT,
                identity=_identity(used, options, backbone),
                progress=progress,
                on_points=tell,
            )
        progress.report(_("Evaluating"), 0, 1)
        tested = [at for at, example in enumerate(used.examples) if example.split == "testing"]
        evaluation = Evaluation.of(
            [used.examples[at] for at in tested], trained.head.probabilities(vectors[tested]), used.classes
        )
        progress.report(_("Evaluating"), 1, 1)
        progress.report(_("Writing the model"), 0, 1)
        model = with_head(backbone.path.read_bytes(), trained.head)
        _compare(model, trained.head, backbone, list(used.examples[:_COMPARED]))
        del vectors  # Windows cannot remove a file that is mapped
    with atomic_bytes(run_dir / MODEL) as file:
        file.write(model)
    with atomic_text(run_dir / LABELS) as text:
        text.write(labels_text(used.classes))
    used.write(run_dir / SNAPSHOT)
    if attribute is not None:
        attribute(used, run_dir)
    result = RunResult(
        run_dir,
        used,
        options,
        evaluation,
        trained.step,
        trained.validation,
        hashlib.sha256(model).hexdigest(),
        refusals,
        warnings,
    )
    write_card(run_dir, _card(result, snapshot, backbone, trained))
    (run_dir / _CHECKPOINT).unlink(missing_ok=True)
    progress.report(_("Writing the model"), 1, 1)
    return result


def read_run(run_dir: Path) -> RunResult:
    """Return a finished run from its folder. Raises ModelUnreadable."""
    card = read_card(run_dir)
    read_model(run_dir, card)
    try:
        options = RunOptions.from_json(card["options"])
        validation = card["metrics"]["validation"]
        snapshot = Snapshot.read(run_dir / SNAPSHOT, read_labels(run_dir, card), options.seed)
        if snapshot.hash != card["snapshot"]:
            raise altered(run_dir / SNAPSHOT, _("it is not the snapshot named in model.json"))
        return RunResult(
            run_dir,
            snapshot,
            options,
            Evaluation.from_json(card["evaluation"]),
            card["metrics"]["step"],
            None if validation is None else CurvePoint(**validation),
            card["model_sha256"],
            tuple(Refusal(Path(path), reason, digest) for path, reason, digest in card["refusals"]),
            tuple(card["warnings"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise altered(run_dir / CARD, error) from error


def _finished(snapshot: Snapshot, options: RunOptions, run_dir: Path) -> RunResult:
    card = read_card(run_dir)
    if card.get("asked") != snapshot.hash or RunOptions.from_json(card["options"]) != options:
        raise JobFailed(
            _("{path} holds a finished run of other pictures or options. Choose another folder.").format(
                path=run_dir
            )
        )
    return read_run(run_dir)


def _identity(snapshot: Snapshot, options: RunOptions, backbone: BackboneFile) -> str:
    parts = (snapshot.hash, backbone.fingerprint, backbone.preprocessing.fingerprint, options.to_json())
    return json.dumps(parts, sort_keys=True)


def _lesson(snapshot: Snapshot, vectors: np.memmap[Any, np.dtype[np.float32]]) -> Lesson:
    splits = np.array([example.split for example in snapshot.examples])
    label_at = {label: at for at, label in enumerate(snapshot.classes)}
    return Lesson(
        vectors,
        np.array([label_at[example.label] for example in snapshot.examples], np.intp),
        np.flatnonzero(splits == "training"),
        np.flatnonzero(splits == "validation"),
        len(snapshot.classes),
    )


def _compare(model: bytes, head: Head, backbone: BackboneFile, examples: list[Example]) -> None:
    """Raise ModelUnreadable where the file about to be written does not answer as backbone and head do.

    Asked afresh, not compared with cached bottlenecks: those may have been made with another release of
    the picture libraries, whose pixels differ by a shade.
    """
    grafted, features = Engine(model), Engine(backbone.path.read_bytes())
    for example in examples:
        pixels = backbone.preprocessing.read(example.path, example.path.name)
        expected = head.probabilities(features(pixels)[np.newaxis])[0]
        difference = float(np.abs(expected - grafted(pixels)).max())
        if not difference <= _TOLERANCE:  # NaN included
            raise ModelUnreadable(
                _(
                    "The model file answers otherwise than the head it was made from ({difference:.3g} apart "
                    "on {name}). Nothing was kept; retrain, and report this if it comes again."
                ).format(difference=difference, name=example.path.name)
            )


def _card(result: RunResult, asked: Snapshot, backbone: BackboneFile, trained: TrainedHead) -> dict[str, Any]:
    validation = trained.validation
    return {
        "model_sha256": result.model_sha256,
        "backbone": {"name": backbone.name, "fingerprint": backbone.fingerprint},
        "preprocessing": backbone.preprocessing.to_json(),
        "classes": list(result.snapshot.classes),
        "snapshot": result.snapshot.hash,
        "asked": asked.hash,
        "options": result.options.to_json(),
        "metrics": {
            "test_accuracy": result.evaluation.accuracy,
            "test_n": result.evaluation.n,
            "step": trained.step,
            "validation": None
            if validation is None
            else {
                "step": validation.step,
                "split": validation.split,
                "accuracy": validation.accuracy,
                "cross_entropy": validation.cross_entropy,
            },
        },
        "evaluation": result.evaluation.to_json(),
        "refusals": [[r.path.as_posix(), r.reason, r.sha256] for r in result.refusals],
        "warnings": list(result.warnings),
    }
