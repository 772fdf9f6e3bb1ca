"""The best model that so many minutes allow: one way of training after the other, and the best stands."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from studio.backbones import BACKBONES, backbone_named
from studio.backbones.speed import measured
from studio.files import atomic_text
from studio.i18n import _
from studio.progress import Progress
from studio.retrain.curve import CurvePoint, OnPoints
from studio.retrain.estimate import estimate
from studio.retrain.fine_tuning.fine_tune import learn_tuned
from studio.retrain.options import RunOptions
from studio.retrain.snapshot import Snapshot
from studio.retrain.train_head import RunContext, TrainResult, train_head

TRIALS = "trials"
"""A folder in the run's: what each way stands at. Whoever calls removes it when the run is whole."""
_DIARY = "diary.json"
_KEPT_S = 5.0
"""For what comes after the last trial: evaluating, and writing the run."""
_TOGETHER = 3
"""Backbones side by side, at most."""
_FEWEST_EPOCHS, _MOST_EPOCHS = 3, 40


@dataclass(frozen=True)
class _Trial:
    options: RunOptions
    learnt: TrainResult
    points: tuple[CurvePoint, ...]
    seconds: float

    @property
    def merit(self) -> tuple[float, bool, float]:
        """On validation images; between equals, what is fine-tuned: it is better by experience."""
        point = self.learnt.validation
        if point is None:
            return 0.0, self.options.fine_tune, 0.0
        return point.accuracy, self.options.fine_tune, -point.cross_entropy

    def told(self) -> dict[str, Any]:
        """Plain values for the run's record."""
        point = self.learnt.validation
        return {
            "what": _described(self.options),
            "validation_accuracy": None if point is None else point.accuracy,
            "seconds": self.seconds,
        }


@dataclass
class _Diary:
    """What was decided on each way, None where it was left out, and the seconds that have gone."""

    decisions: list[RunOptions | None]
    spent_s: float

    def write(self, path: Path, identity: str, spent_s: float) -> None:
        """Write it, whole or not at all."""
        ways = [None if options is None else options.to_json() for options in self.decisions]
        with atomic_text(path) as file:
            json.dump({"identity": identity, "decisions": ways, "spent_s": spent_s}, file)

    @classmethod
    def read(cls, path: Path, identity: str) -> "_Diary":
        """Return the diary in a file, or an empty one where there is none of this run."""
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["identity"] == identity:
                ways = [None if way is None else RunOptions.from_json(way) for way in kept["decisions"]]
                return cls(ways, float(kept["spent_s"]))
        except (OSError, ValueError, KeyError, TypeError):
            pass  # none, or damaged
        return cls([], 0.0)


class _TimeIsUp(Exception):
    """The trial in hand is given up."""


class _Until:
    """A `Progress` that ends a trial when the time is up."""

    def __init__(self, progress: Progress, end: float | None) -> None:
        self._progress, self._end = progress, end

    def report(self, phase: str, done: int, total: int | None = None) -> None:
        """Pass on. Raises _TimeIsUp, and what the progress behind raises."""
        self._progress.report(phase, done, total)
        if self._end is not None and time.monotonic() > self._end:
            raise _TimeIsUp


def learn_in_time(
    snapshot: Snapshot, options: RunOptions, means: RunContext, identity: str, on_points: OnPoints
) -> TrainResult:
    """Train in several ways until `options.minutes` are over; return the best by the validation images.

    First a head on the backbone that is asked for, which is finished whatever it takes, so that there is a
    model; then its last blocks too; then other backbones that are on this machine, the best by what is
    published first, the last blocks of the best of them, the best three side by side; at last more passes.
    What would not end in time is not begun, or with fewer passes. Only the best one's points are told, at
    the end.

    Taken up after a stop it has what was done and the time that was left. Raises BackboneError,
    TooLittleToLearnFrom, Stopped.
    """
    if options.minutes is None:
        raise ValueError("expected options.minutes to be set")
    path = means.run_dir / TRIALS / _DIARY
    diary = _Diary.read(path, identity)
    began = time.monotonic() - diary.spent_s
    end = began + 60 * options.minutes - _KEPT_S
    trials: list[_Trial] = []
    try:
        for number, wanted in enumerate(_ways(replace(options, minutes=None), trials)):
            if number < len(diary.decisions):
                # Done before a stop: its own checkpoint gives it again, whatever the time.
                chosen, until = diary.decisions[number], None
            elif not trials:
                chosen, until = wanted, None
            else:
                chosen = _fitted(wanted, snapshot, trials, means, end - time.monotonic())
                until = end
            if chosen is not None:
                trial = _tried(snapshot, chosen, means, identity, number, until)
                if trial is None:
                    break
                trials[:] = _with_one_model([*trials, trial])
            if number == len(diary.decisions):
                diary.decisions.append(chosen)
            diary.write(path, identity, time.monotonic() - began)
    finally:
        # Also on Stop: the time is not had twice.
        diary.write(path, identity, time.monotonic() - began)
    best = max(trials, key=lambda trial: trial.merit)
    on_points(best.points)
    facts = {
        **best.learnt.facts,
        "tried": [trial.told() for trial in trials],
        "chosen": best.options.to_json(),
    }
    facts["seconds"] = {
        part: sum(trial.learnt.facts["seconds"].get(part, 0.0) for trial in trials)
        for part in ("bottlenecks", "training", "converting")
    }
    return replace(best.learnt, facts=facts)


def _ways(options: RunOptions, trials: list[_Trial]) -> Iterator[RunOptions]:
    """Yield what to try next; reads in `trials` what has been tried."""
    plain = replace(options, fine_tune=False)
    yield plain
    yield from _tuned(plain)
    others = sorted(
        (b for b in BACKBONES.values() if b.installed and not b.quantized and b.name != options.backbone),
        key=lambda backbone: -(backbone.facts.top1 or 0.0),
    )
    for backbone in others:
        yield replace(plain, backbone=backbone.name)
    heads = sorted(
        (t for t in trials if not t.options.fine_tune), key=lambda trial: trial.merit, reverse=True
    )
    if heads and heads[0].options.backbone != options.backbone:
        yield from _tuned(heads[0].options)
    single = [trial.options.backbone for trial in heads if _single(trial.options.backbone)]
    if len(single) > 1:
        yield replace(plain, backbone="+".join(single[:_TOGETHER]))
    tuned = [trial for trial in trials if trial.options.fine_tune]
    if tuned:
        yield replace(max(tuned, key=lambda trial: trial.merit).options, fine_tune_epochs=_MOST_EPOCHS)


def _tuned(options: RunOptions) -> Iterator[RunOptions]:
    if _single(options.backbone):
        yield replace(options, fine_tune=True)


def _single(name: str) -> bool:
    backbone = backbone_named(name)
    return not backbone.members and not backbone.quantized


def _fitted(
    options: RunOptions, snapshot: Snapshot, trials: list[_Trial], means: RunContext, left_s: float
) -> RunOptions | None:
    """Return the options, with fewer passes where needed, if they should end in time."""
    expected = sum(
        _expected_s(trial.options, snapshot, means, trials[:at]) for at, trial in enumerate(trials)
    )
    pace = sum(trial.seconds for trial in trials) / max(expected, 1e-6)
    most = options.fine_tune_epochs
    for epochs in range(most, min(_FEWEST_EPOCHS, most) - 1 if options.fine_tune else most - 1, -1):
        fewer = replace(options, fine_tune_epochs=epochs)
        if pace * _expected_s(fewer, snapshot, means, trials) < left_s:
            return fewer
    return None


def _expected_s(options: RunOptions, snapshot: Snapshot, means: RunContext, before: list[_Trial]) -> float:
    counts = {split: len(snapshot.of_split(split)) for split in ("training", "validation", "testing")}
    known = any(trial.options.backbone == options.backbone for trial in before)
    return estimate(
        options,
        missing=0 if known else len(snapshot.examples),
        speeds=measured(means.backbones_dir),
        **counts,
    ).seconds


def _tried(
    snapshot: Snapshot, options: RunOptions, means: RunContext, identity: str, number: int, end: float | None
) -> _Trial | None:
    """Return a way that was gone to its end, or None where the time was up before."""
    points: list[CurvePoint] = []
    room = replace(
        means,
        run_dir=means.run_dir / TRIALS / f"{number}",
        progress=_Until(means.progress, end),
        watches=(),
    )
    room.run_dir.mkdir(parents=True, exist_ok=True)
    own = f"{identity} {json.dumps(options.to_json(), sort_keys=True)}"
    began = time.monotonic()
    learn = learn_tuned if options.fine_tune else train_head
    try:
        learnt = learn(snapshot, options, room, own, points.extend)
    except _TimeIsUp:
        return None
    return _Trial(options, learnt, tuple(points), time.monotonic() - began)


def _with_one_model(trials: list[_Trial]) -> list[_Trial]:
    """Drop the files of all but the best: they are tens of megabytes each."""
    best = max(trials, key=lambda trial: trial.merit)
    return [
        trial if trial is best else replace(trial, learnt=replace(trial.learnt, model=b"", tuned={}))
        for trial in trials
    ]


def _described(options: RunOptions) -> str:
    title = backbone_named(options.backbone).title
    if not options.fine_tune:
        return title
    return _("{title}, last blocks trained, {epochs} passes").format(
        title=title, epochs=options.fine_tune_epochs
    )
