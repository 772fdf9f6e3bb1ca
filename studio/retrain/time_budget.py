"""Time budget search: train candidates until the time is up, and keep the best by the validation images."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from studio.backbones import BACKBONES, get_backbone
from studio.backbones.speed import read_speeds
from studio.files import atomic_text
from studio.i18n import _
from studio.progress import Progress
from studio.retrain.curve import CurvePoint
from studio.retrain.estimate import estimate_run
from studio.retrain.fine_tuning.fine_tune import train_fine_tuned
from studio.retrain.options import RunOptions
from studio.retrain.snapshot import Snapshot
from studio.retrain.train_head import RunContext, TrainResult, train_head

TRIALS = "trials"
"""Folder in the run's folder with the state of each trial; the caller removes it when the run is finished."""
_RECORD_FILE = "diary.json"
_RESERVED_S = 5.0
"""Time for evaluating and writing the run after the last trial."""
_MAX_CONCATENATED = 3
"""Largest number of backbones in a concatenated candidate."""
_MIN_EPOCHS, _MAX_EPOCHS = 3, 40


@dataclass(frozen=True)
class _Trial:
    """A candidate that was trained. seconds: it took."""

    options: RunOptions
    result: TrainResult
    points: tuple[CurvePoint, ...]
    seconds: float

    @property
    def score(self) -> tuple[float, bool, float]:
        """Accuracy on the validation images; a tie goes to fine-tuning, which was better in measurements."""
        point = self.result.validation
        if point is None:
            return 0.0, self.options.fine_tune, 0.0
        return point.accuracy, self.options.fine_tune, -point.cross_entropy

    def to_json(self) -> dict[str, Any]:
        """Return JSON values for the run's record."""
        point = self.result.validation
        return {
            "what": _description(self.options),
            "validation_accuracy": None if point is None else point.accuracy,
            "seconds": self.seconds,
        }


@dataclass
class _SearchRecord:
    """The decision on each candidate, None if it was skipped, and the seconds spent so far."""

    decisions: list[RunOptions | None]
    spent_s: float

    def write(self, path: Path, identity: str, spent_s: float) -> None:
        """Write the record to a file, atomically."""
        decisions = [None if options is None else options.to_json() for options in self.decisions]
        with atomic_text(path) as file:
            json.dump({"identity": identity, "decisions": decisions, "spent_s": spent_s}, file)

    @classmethod
    def read(cls, path: Path, identity: str) -> "_SearchRecord":
        """Return the record in a file; an empty one if it is missing, damaged or of another run."""
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if record["identity"] == identity:
                decisions = [
                    None if options is None else RunOptions.from_json(options)
                    for options in record["decisions"]
                ]
                return cls(decisions, float(record["spent_s"]))
        except (OSError, ValueError, KeyError, TypeError):
            pass  # missing or damaged
        return cls([], 0.0)


class _TimeLimitReached(Exception):
    """The current trial is aborted."""


class _TimeLimit:
    """A `Progress` that aborts a trial when the time budget ends. end: by `time.monotonic`; None: never."""

    def __init__(self, progress: Progress, end: float | None) -> None:
        self._progress, self._end = progress, end

    def report(self, phase: str, done: int, total: int | None = None) -> None:
        """Report to the wrapped progress. Raises _TimeLimitReached, and what that progress raises."""
        self._progress.report(phase, done, total)
        if self._end is not None and time.monotonic() > self._end:
            raise _TimeLimitReached


def train_in_time_budget(
    snapshot: Snapshot, options: RunOptions, context: RunContext, identity: str
) -> TrainResult:
    """Train candidates until `options.minutes` are over; return the best by the validation images.

    The candidates in order: a head on the chosen backbone, which is always finished, so that there is a
    model; the same with fine-tuning; heads on the other installed backbones, by published accuracy; the best
    of these with fine-tuning; the best three concatenated; more epochs of fine-tuning. A candidate that is
    not expected to end in time is skipped, or trained for fewer epochs. Only the best one's points are
    reported, at the end.

    A resumed search continues with its trials and the remaining time. Raises BackboneError, TooFewImages,
    Stopped.
    """
    if options.minutes is None:
        raise ValueError("expected options.minutes to be set; got None")
    path = context.run_dir / TRIALS / _RECORD_FILE
    record = _SearchRecord.read(path, identity)
    started = time.monotonic() - record.spent_s
    end = started + 60 * options.minutes - _RESERVED_S
    trials: list[_Trial] = []
    try:
        for number, candidate in enumerate(_candidates(replace(options, minutes=None), trials)):
            if number < len(record.decisions):
                # Trained before a stop: its checkpoint gives it again, without a time limit.
                chosen, limit = record.decisions[number], None
            elif not trials:
                chosen, limit = candidate, None
            else:
                chosen = _fit_into_time(candidate, snapshot, trials, context, end - time.monotonic())
                limit = end
            if chosen is not None:
                trial = _run_trial(snapshot, chosen, context, identity, number, limit)
                if trial is None:
                    break
                trials[:] = _keep_best_model([*trials, trial])
            if number == len(record.decisions):
                record.decisions.append(chosen)
            record.write(path, identity, time.monotonic() - started)
    finally:
        # Also on Stop, so that spent time is not available again.
        record.write(path, identity, time.monotonic() - started)
    best = max(trials, key=lambda trial: trial.score)
    context.on_points(best.points)
    facts = {
        **best.result.facts,
        "tried": [trial.to_json() for trial in trials],
        "chosen": best.options.to_json(),
    }
    facts["seconds"] = {
        part: sum(trial.result.facts["seconds"].get(part, 0.0) for trial in trials)
        for part in ("bottlenecks", "training", "converting")
    }
    return replace(best.result, facts=facts)


def _candidates(options: RunOptions, trials: list[_Trial]) -> Iterator[RunOptions]:
    """Yield the next candidate; reads the finished `trials` before each one."""
    plain = replace(options, fine_tune=False)
    yield plain
    yield from _fine_tuned_candidates(plain)
    others = sorted(
        (b for b in BACKBONES.values() if b.installed and not b.quantized and b.name != options.backbone),
        key=lambda backbone: -(backbone.info.top1 or 0.0),
    )
    for backbone in others:
        yield replace(plain, backbone=backbone.name)
    heads = sorted(
        (t for t in trials if not t.options.fine_tune), key=lambda trial: trial.score, reverse=True
    )
    if heads and heads[0].options.backbone != options.backbone:
        yield from _fine_tuned_candidates(heads[0].options)
    single = [trial.options.backbone for trial in heads if _can_fine_tune(trial.options.backbone)]
    if len(single) > 1:
        yield replace(plain, backbone="+".join(single[:_MAX_CONCATENATED]))
    fine_tuned = [trial for trial in trials if trial.options.fine_tune]
    if fine_tuned:
        best = max(fine_tuned, key=lambda trial: trial.score)
        yield replace(best.options, fine_tune_epochs=_MAX_EPOCHS)


def _fine_tuned_candidates(options: RunOptions) -> Iterator[RunOptions]:
    if _can_fine_tune(options.backbone):
        yield replace(options, fine_tune=True)


def _can_fine_tune(name: str) -> bool:
    """Return whether a backbone is single and not quantized, as fine-tuning and concatenation require."""
    backbone = get_backbone(name)
    return not backbone.members and not backbone.quantized


def _fit_into_time(
    options: RunOptions, snapshot: Snapshot, trials: list[_Trial], context: RunContext, left_s: float
) -> RunOptions | None:
    """Return the options, with fewer epochs if necessary, if they are expected to end in time; else None.

    Estimates are corrected by the ratio of real to expected seconds of the trials so far.
    """
    expected_s = sum(
        _expected_s(trial.options, snapshot, context, trials[:at]) for at, trial in enumerate(trials)
    )
    correction = sum(trial.seconds for trial in trials) / max(expected_s, 1e-6)
    most = options.fine_tune_epochs
    for epochs in range(most, min(_MIN_EPOCHS, most) - 1 if options.fine_tune else most - 1, -1):
        shorter = replace(options, fine_tune_epochs=epochs)
        if correction * _expected_s(shorter, snapshot, context, trials) < left_s:
            return shorter
    return None


def _expected_s(options: RunOptions, snapshot: Snapshot, context: RunContext, before: list[_Trial]) -> float:
    counts = {split: len(snapshot.of_split(split)) for split in ("training", "validation", "testing")}
    is_embedded = any(trial.options.backbone == options.backbone for trial in before)
    return estimate_run(
        options,
        missing=0 if is_embedded else len(snapshot.examples),
        speeds=read_speeds(context.backbones_dir),
        **counts,
    ).seconds


def _run_trial(
    snapshot: Snapshot,
    options: RunOptions,
    context: RunContext,
    identity: str,
    number: int,
    end: float | None,
) -> _Trial | None:
    """Return a finished trial; None if the time budget ended before. number: names its folder."""
    points: list[CurvePoint] = []
    trial_context = replace(
        context,
        run_dir=context.run_dir / TRIALS / f"{number}",
        progress=_TimeLimit(context.progress, end),
        on_points=points.extend,
        callbacks=(),
    )
    trial_context.run_dir.mkdir(parents=True, exist_ok=True)
    trial_identity = f"{identity} {json.dumps(options.to_json(), sort_keys=True)}"
    started = time.monotonic()
    train = train_fine_tuned if options.fine_tune else train_head
    try:
        result = train(snapshot, options, trial_context, trial_identity)
    except _TimeLimitReached:
        return None
    return _Trial(options, result, tuple(points), time.monotonic() - started)


def _keep_best_model(trials: list[_Trial]) -> list[_Trial]:
    """Return the trials without the model files of all but the best: each takes tens of megabytes."""
    best = max(trials, key=lambda trial: trial.score)
    return [
        trial if trial is best else replace(trial, result=replace(trial.result, model=b"", tuned_weights={}))
        for trial in trials
    ]


def _description(options: RunOptions) -> str:
    title = get_backbone(options.backbone).title
    if not options.fine_tune:
        return title
    return _("{title}, last blocks fine-tuned, {epochs} epochs").format(
        title=title, epochs=options.fine_tune_epochs
    )
