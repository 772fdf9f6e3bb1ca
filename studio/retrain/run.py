"""A run: from a snapshot to a folder with a model that answers."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio.backbones import backbone_named
from studio.backbones.embedding import Refusal
from studio.errors import JobFailed
from studio.files import atomic_bytes, atomic_text
from studio.i18n import _
from studio.progress import Progress
from studio.retrain.curve import CurvePoint, OnPoints
from studio.retrain.evaluation.evaluation import Evaluation
from studio.retrain.evaluation.leakage import CopiesOfFiles, FindCopies, copies_by
from studio.retrain.fine_tuning.fine_tune import learn_tuned
from studio.retrain.head.dataset import tested_places
from studio.retrain.head.head import Watch
from studio.retrain.options import RunOptions
from studio.retrain.run_folder import (
    CARD,
    LABELS,
    MODEL,
    SNAPSHOT,
    SUMMARIES,
    altered,
    labels_text,
    read_model,
    read_model_json,
    read_snapshot,
    versions,
    write_model_json,
    write_tuned,
)
from studio.retrain.snapshot import Snapshot
from studio.retrain.tensorboard import SummaryWriter
from studio.retrain.time_budget import TRIALS, learn_in_time
from studio.retrain.train_head import CHECKPOINT, RunContext, TrainResult, train_head


@dataclass(frozen=True)
class RunResult:
    """A finished run. refusals: files that were left out; warnings: why its figures may be weak.

    step, validation: when the stored head was reached and how it did then; validation is None without
    validation images.
    facts: plain values, to tell what it came from and what it took: "backbones", each with the SHA-256 of its
    weights; "data", the snapshot's hash; "versions" of the libraries; "seconds" of this call, and of training
    over all calls; "steps" taken, "stopped_early", "l2"; "tried", what else was trained, with its accuracy on
    the validation images; "fine_tuning", or None.
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
    facts: dict[str, Any] = field(default_factory=dict)


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
    find_copies: FindCopies | None = None,
    watches: Sequence[Watch] = (),
) -> RunResult:
    """Train on `snapshot` and leave a model in `run_dir`.

    Called again after a kill or a stop, with the same arguments, it goes on from where it stood; on a
    finished run it only reads the result. Images that cannot be read are left out of the snapshot.
    summaries_dir: where TensorBoard's event files go; `summaries` in `run_dir` by default.
    attribute: writes into a folder whose the images of a snapshot are, where that is known.
    find_copies: says which test images are near copies of training images; by default what their
    bottlenecks and files say.
    watches: those who are shown the head while it is trained.
    Raises TooLittleToLearnFrom, BackboneError, Stopped, and JobFailed when the folder holds another run.
    """
    if (run_dir / CARD).exists():
        return _finished(snapshot, options, run_dir)
    snapshot.check()
    began = time.monotonic()
    with SummaryWriter(summaries_dir or run_dir / SUMMARIES) as summaries:
        summaries.begin(options)
        looking_on = (*watches, Watch(options.eval_step_interval, summaries.show, last=True))
        means = RunContext(run_dir, bottleneck_dir, backbones_dir, threads, progress, looking_on)

        def tell(points: Sequence[CurvePoint]) -> None:
            summaries.write(points)
            on_points(points)

        learn = _way_of(options)
        learnt = learn(snapshot, options, means, _identity(snapshot, options), tell)
        used = learnt.snapshot
        find = find_copies or CopiesOfFiles(threads, progress)
        copies = copies_by(find, used, learnt.backbone, bottleneck_dir, run_dir)
        tested, asked = used.of_split("testing"), tested_places(used, options)
        evaluation = Evaluation.of(
            [tested[at] for at in asked], learnt.probabilities[asked], used.classes, copies
        )
        summaries.end(learnt.step, evaluation, learnt.model)
    with atomic_bytes(run_dir / MODEL) as file:
        file.write(learnt.model)
    if learnt.tuned:
        write_tuned(run_dir, learnt.tuned)
    with atomic_text(run_dir / LABELS) as text:
        text.write(labels_text(used.classes))
    used.write(run_dir / SNAPSHOT)
    if attribute is not None:
        attribute(used, run_dir)
    facts = {
        **learnt.facts,
        "backbones": _backbones(learnt.backbone.name),
        "data": used.hash,
        "versions": versions(),
    }
    facts["seconds"]["all"] = time.monotonic() - began
    result = RunResult(
        run_dir,
        used,
        options,
        evaluation,
        learnt.step,
        learnt.validation,
        hashlib.sha256(learnt.model).hexdigest(),
        learnt.refusals,
        used.check(),
        facts,
    )
    write_model_json(run_dir, _card(result, snapshot, learnt))
    for checkpoint in run_dir.glob(f"{Path(CHECKPOINT).stem}*{Path(CHECKPOINT).suffix}"):
        checkpoint.unlink()
    shutil.rmtree(run_dir / TRIALS, ignore_errors=True)
    progress.report(_("Writing the model"), 1, 1)
    return result


def read_run(run_dir: Path) -> RunResult:
    """Return a finished run from its folder. Raises ModelUnreadable."""
    card = read_model_json(run_dir)
    read_model(run_dir, card)
    try:
        options = RunOptions.from_json(card["options"])
        validation = card["metrics"]["validation"]
        snapshot = read_snapshot(run_dir, card)
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
            card.get("facts", {}),  # an older studio wrote none
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise altered(run_dir / CARD, error) from error


def _finished(snapshot: Snapshot, options: RunOptions, run_dir: Path) -> RunResult:
    card = read_model_json(run_dir)
    if card.get("asked") != snapshot.hash or RunOptions.from_json(card["options"]) != options:
        raise JobFailed(
            _("{path} holds a finished run of other images or options. Choose another folder.").format(
                path=run_dir
            )
        )
    return read_run(run_dir)


def _identity(snapshot: Snapshot, options: RunOptions) -> str:
    return json.dumps((snapshot.hash, options.to_json()), sort_keys=True)


def _way_of(options: RunOptions) -> Callable[[Snapshot, RunOptions, RunContext, str, OnPoints], TrainResult]:
    if options.minutes is not None:
        return learn_in_time
    return learn_tuned if options.fine_tune else train_head


def _backbones(name: str) -> list[dict[str, str]]:
    backbone = backbone_named(name)
    return [
        {"name": one.name, "fingerprint": one.fingerprint, "weights_sha256": one.weights_sha256}
        for one in backbone.members or (backbone,)
    ]


def _card(result: RunResult, asked: Snapshot, learnt: TrainResult) -> dict[str, Any]:
    backbone = learnt.backbone
    validation = result.validation
    return {
        "model_sha256": result.model_sha256,
        "backbone": {"name": backbone.name, "fingerprint": backbone.fingerprint},
        "preprocessing": (learnt.preprocessing or backbone.preprocessing).to_json(),
        "classes": list(result.snapshot.classes),
        "snapshot": result.snapshot.hash,
        "asked": asked.hash,
        "options": result.options.to_json(),
        "metrics": {
            "test_accuracy": result.evaluation.accuracy,
            "test_n": result.evaluation.n,
            "step": result.step,
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
        "facts": result.facts,
        "refusals": [[r.path.as_posix(), r.reason, r.sha256] for r in result.refusals],
        "warnings": list(result.warnings),
    }
