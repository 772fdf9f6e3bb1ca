"""Training a run: from a snapshot and options to a run folder with a finished model."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from studio.backbones import get_backbone
from studio.backbones.embedding import SkippedFile
from studio.errors import JobFailed
from studio.files import atomic_bytes, atomic_text
from studio.i18n import _
from studio.retrain.curve import CurvePoint
from studio.retrain.evaluation.evaluation import Evaluation
from studio.retrain.evaluation.leakage import FileLeakageCheck, find_leaked_images
from studio.retrain.fine_tuning.fine_tune import train_fine_tuned
from studio.retrain.head.dataset import sample_test_examples
from studio.retrain.head.head import HeadCallback
from studio.retrain.options import RunOptions
from studio.retrain.run_folder import (
    LABELS_FILE,
    MODEL_FILE,
    MODEL_JSON,
    SNAPSHOT_FILE,
    SUMMARIES_DIR,
    altered_file_error,
    format_labels,
    library_versions,
    read_model,
    read_model_json,
    read_snapshot,
    write_model_json,
    write_tuned_weights,
)
from studio.retrain.snapshot import Snapshot
from studio.retrain.tensorboard import SummaryWriter
from studio.retrain.time_budget import TRIALS, train_in_time_budget
from studio.retrain.train_head import CHECKPOINT, RunContext, TrainResult, train_head


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    step, validation: of the stored head, when it was reached and its validation metrics; validation is None
    without validation images.
    skipped: files left out, with reasons. warnings: reasons why the results may be unreliable.
    facts: plain values about its making. "backbones": name, fingerprint and weights' SHA-256 of each; "data":
    the snapshot's hash; "versions" of the libraries; "seconds" of this call, and of training over all calls;
    "steps" trained, "stopped_early", "l2"; "tried": other candidates with their validation accuracy;
    "fine_tuning": its facts, or None.
    """

    run_dir: Path
    snapshot: Snapshot
    options: RunOptions
    evaluation: Evaluation
    step: int
    validation: CurvePoint | None
    model_sha256: str
    skipped: tuple[SkippedFile, ...]
    warnings: tuple[str, ...]
    facts: dict[str, Any] = field(default_factory=dict)


def retrain(snapshot: Snapshot, options: RunOptions, context: RunContext) -> RunResult:
    """Train on a snapshot, evaluate, and write the model into `context.run_dir`.

    A call with the same arguments after a stop or a kill resumes training; on a finished run it only reads
    the result. Images that cannot be read are left out of the snapshot.
    Raises TooFewImages, BackboneError, Stopped, and JobFailed if the folder holds a run of another snapshot
    or other options.
    """
    run_dir, progress = context.run_dir, context.progress
    if (run_dir / MODEL_JSON).exists():
        return _read_finished(snapshot, options, run_dir)
    snapshot.check()
    began = time.monotonic()
    with SummaryWriter(context.summaries_dir or run_dir / SUMMARIES_DIR) as summaries:
        summaries.write_options(options)

        def write_points(points: Sequence[CurvePoint]) -> None:
            summaries.write(points)
            context.on_points(points)

        write_head = HeadCallback(options.eval_step_interval, summaries.write_head, at_end=True)
        training_context = replace(
            context, on_points=write_points, callbacks=(*context.callbacks, write_head)
        )
        train = _train_function(options)
        trained = train(snapshot, options, training_context, _identity(snapshot, options))
        used = trained.snapshot
        evaluation = _evaluate(trained, options, context)
        summaries.write_results(trained.step, evaluation, trained.model)
    with atomic_bytes(run_dir / MODEL_FILE) as file:
        file.write(trained.model)
    if trained.tuned_weights:
        write_tuned_weights(run_dir, trained.tuned_weights)
    with atomic_text(run_dir / LABELS_FILE) as text:
        text.write(format_labels(used.classes))
    used.write(run_dir / SNAPSHOT_FILE)
    if context.write_attribution is not None:
        context.write_attribution(used, run_dir)
    facts = {
        **trained.facts,
        "backbones": _backbone_facts(trained.backbone.name),
        "data": used.hash,
        "versions": library_versions(),
    }
    facts["seconds"]["all"] = time.monotonic() - began
    result = RunResult(
        run_dir,
        used,
        options,
        evaluation,
        trained.step,
        trained.validation,
        hashlib.sha256(trained.model).hexdigest(),
        trained.skipped,
        used.check(),
        facts,
    )
    write_model_json(run_dir, _model_json(result, snapshot, trained))
    for checkpoint in run_dir.glob(f"{Path(CHECKPOINT).stem}*{Path(CHECKPOINT).suffix}"):
        checkpoint.unlink()
    shutil.rmtree(run_dir / TRIALS, ignore_errors=True)
    progress.report(_("Writing the model"), 1, 1)
    return result


def read_run(run_dir: Path) -> RunResult:
    """Return a finished run from its folder. Raises ModelUnreadable."""
    values = read_model_json(run_dir)
    read_model(run_dir, values)
    try:
        options = RunOptions.from_json(values["options"])
        validation = values["metrics"]["validation"]
        snapshot = read_snapshot(run_dir, values)
        return RunResult(
            run_dir,
            snapshot,
            options,
            Evaluation.from_json(values["evaluation"]),
            values["metrics"]["step"],
            None if validation is None else CurvePoint(**validation),
            values["model_sha256"],
            tuple(SkippedFile(Path(path), reason, digest) for path, reason, digest in values["refusals"]),
            tuple(values["warnings"]),
            values.get("facts", {}),  # not written by older versions
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise altered_file_error(run_dir / MODEL_JSON, error) from error


def _read_finished(snapshot: Snapshot, options: RunOptions, run_dir: Path) -> RunResult:
    values = read_model_json(run_dir)
    if values.get("asked") != snapshot.hash or RunOptions.from_json(values["options"]) != options:
        raise JobFailed(
            _("{path} holds a finished run with other images or options. Choose another folder.").format(
                path=run_dir
            )
        )
    return read_run(run_dir)


def _identity(snapshot: Snapshot, options: RunOptions) -> str:
    return json.dumps((snapshot.hash, options.to_json()), sort_keys=True)


def _train_function(options: RunOptions) -> Callable[[Snapshot, RunOptions, RunContext, str], TrainResult]:
    if options.minutes is not None:
        return train_in_time_budget
    return train_fine_tuned if options.fine_tune else train_head


def _evaluate(trained: TrainResult, options: RunOptions, context: RunContext) -> Evaluation:
    snapshot = trained.snapshot
    check = context.check_leakage or FileLeakageCheck(context.threads, context.progress)
    leaked = find_leaked_images(check, snapshot, trained.backbone, context.bottleneck_dir, context.run_dir)
    test_images, sample = snapshot.of_split("testing"), sample_test_examples(snapshot, options)
    return Evaluation.of(
        [test_images[index] for index in sample], trained.probabilities[sample], snapshot.classes, leaked
    )


def _backbone_facts(name: str) -> list[dict[str, str]]:
    backbone = get_backbone(name)
    return [
        {"name": member.name, "fingerprint": member.fingerprint, "weights_sha256": member.weights_sha256}
        for member in backbone.members or (backbone,)
    ]


def _model_json(result: RunResult, requested: Snapshot, trained: TrainResult) -> dict[str, Any]:
    """Return the contents of `model.json`; "asked" is the hash of the requested snapshot."""
    backbone = trained.backbone
    validation = result.validation
    return {
        "model_sha256": result.model_sha256,
        "backbone": {"name": backbone.name, "fingerprint": backbone.fingerprint},
        "preprocessing": (trained.preprocessing or backbone.preprocessing).to_json(),
        "classes": list(result.snapshot.classes),
        "snapshot": result.snapshot.hash,
        "asked": requested.hash,
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
        "refusals": [[file.path.as_posix(), file.reason, file.sha256] for file in result.skipped],
        "warnings": list(result.warnings),
    }
