"""Comparison of two runs: images, labels and splits, metrics and predictions; and of a run with its rerun."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from studio.datasets.splits import Split
from studio.i18n import _, counted
from studio.retrain.evaluation.evaluation import ClassMetrics, Evaluation, TestPrediction
from studio.retrain.options import RunOptions
from studio.retrain.run import read_run
from studio.retrain.run_folder import read_model_json


@dataclass(frozen=True)
class LabelAndSplit:
    """The label and the split of an image in a snapshot."""

    label: str
    split: Split


@dataclass(frozen=True)
class ImageChange:
    """An image (SHA-256) whose label or split differs between two snapshots; None where it is missing."""

    sha256: str
    before: LabelAndSplit | None
    after: LabelAndSplit | None


@dataclass(frozen=True)
class ClassCountChange:
    """Image counts of a class in two snapshots, and the changes between them.

    added, removed: images that only the later, only the earlier snapshot has; moved_in, moved_out: images
    relabelled to and from the class. after = before + added - removed + moved_in - moved_out.
    """

    label: str
    before: int
    after: int
    added: int
    removed: int
    moved_in: int
    moved_out: int

    def to_json(self) -> dict[str, Any]:
        """Return the values under their names in the output of `runs show --json`."""
        values = asdict(self)
        values["came"], values["left"] = values.pop("moved_in"), values.pop("moved_out")
        return values


@dataclass(frozen=True)
class SnapshotChanges:
    """All images whose label or split differs, sorted by SHA-256, and the counts of all classes, sorted.

    relabelled: with another label. split_changed: with another split, relabelled or not.
    """

    added: tuple[ImageChange, ...]
    removed: tuple[ImageChange, ...]
    relabelled: tuple[ImageChange, ...]
    split_changed: tuple[ImageChange, ...]
    by_class: tuple[ClassCountChange, ...]

    def __bool__(self) -> bool:
        """Return whether anything differs."""
        return any((self.added, self.removed, self.relabelled, self.split_changed))

    @classmethod
    def of(
        cls, changes: Iterable[ImageChange], before: Mapping[str, int], after: Mapping[str, int]
    ) -> "SnapshotChanges":
        """Group the changes by kind. before, after: the number of images of each class."""
        changes = sorted(changes, key=lambda change: change.sha256)
        added = tuple(change for change in changes if change.before is None)
        removed = tuple(change for change in changes if change.after is None)
        in_both = [
            (change, change.before, change.after) for change in changes if change.before and change.after
        ]
        relabelled = tuple(change for change, old, new in in_both if old.label != new.label)
        split_changed = tuple(change for change, old, new in in_both if old.split != new.split)
        moved_in = Counter(change.after.label for change in relabelled if change.after)
        moved_out = Counter(change.before.label for change in relabelled if change.before)
        added_counts = Counter(change.after.label for change in added if change.after)
        removed_counts = Counter(change.before.label for change in removed if change.before)
        by_class = tuple(
            ClassCountChange(
                label,
                before.get(label, 0),
                after.get(label, 0),
                added_counts[label],
                removed_counts[label],
                moved_in[label],
                moved_out[label],
            )
            for label in sorted({*before, *after})
        )
        return cls(added, removed, relabelled, split_changed, by_class)


@dataclass(frozen=True)
class ClassMetricsChange:
    """The metrics of a class in two runs; None for a run without that class."""

    label: str
    before: ClassMetrics | None
    after: ClassMetrics | None


def class_metrics_changes(before: Evaluation, after: Evaluation) -> tuple[ClassMetricsChange, ...]:
    """Compare two evaluations class by class, sorted by class."""
    old = {metrics.label: metrics for metrics in before.scores}
    new = {metrics.label: metrics for metrics in after.scores}
    labels = sorted({*before.classes, *after.classes})
    return tuple(ClassMetricsChange(label, old.get(label), new.get(label)) for label in labels)


@dataclass(frozen=True)
class PredictionChanges:
    """Test images of both runs that only one of them predicts correctly: pairs (before, after).

    fixed: correct in the later run only; regressed: correct in the earlier run only.
    """

    fixed: tuple[tuple[TestPrediction, TestPrediction], ...]
    regressed: tuple[tuple[TestPrediction, TestPrediction], ...]


def prediction_changes(before: Evaluation, after: Evaluation) -> PredictionChanges:
    """Find the test images of both runs that became correct or wrong."""
    earlier = {prediction.sha256: prediction for prediction in before.predictions}
    pairs = [
        (earlier[prediction.sha256], prediction)
        for prediction in after.predictions
        if prediction.sha256 in earlier
    ]
    correct = [(old.true == old.predicted, new.true == new.predicted, (old, new)) for old, new in pairs]
    return PredictionChanges(
        fixed=tuple(pair for was, now, pair in correct if now and not was),
        regressed=tuple(pair for was, now, pair in correct if was and not now),
    )


def rerun_options(options: RunOptions, facts: Mapping[str, Any]) -> RunOptions:
    """Return the options for a rerun: those a run chose itself within its time budget, or else its own.

    With the time budget itself, a rerun might get further or less far.
    """
    chosen = facts.get("chosen")
    return options if chosen is None else RunOptions.from_json(chosen)


@dataclass(frozen=True)
class RunOutcome:
    """The results of a run, and the versions of libraries, Python and machine, by name."""

    evaluation: Evaluation
    model_sha256: str
    versions: Mapping[str, str]

    @classmethod
    def of_folder(cls, run_dir: Path) -> "RunOutcome":
        """Read the outcome of a finished run from its folder. Raises ModelUnreadable."""
        result = read_run(run_dir)
        return cls(result.evaluation, result.model_sha256, read_model_json(run_dir).get("versions", {}))


@dataclass(frozen=True)
class VersionChange:
    """A library whose version differs; empty where it is not installed."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class RerunComparison:
    """Differences between a run and its rerun.

    differences: one line each, for people; empty where all numbers are equal.
    same_model_file: whether the model files are identical; with other library versions they may differ
    although all numbers are equal. version_changes: the versions that differ.
    """

    differences: tuple[str, ...]
    same_model_file: bool
    version_changes: tuple[VersionChange, ...]

    @property
    def same(self) -> bool:
        """Return whether all numbers are equal."""
        return not self.differences

    @classmethod
    def of(cls, before: RunOutcome, after: RunOutcome) -> "RerunComparison":
        """Compare a run with its rerun."""
        old, new = before.versions, after.versions
        return cls(
            tuple(_differences(before.evaluation, after.evaluation)),
            before.model_sha256 == after.model_sha256,
            tuple(
                VersionChange(name, old.get(name, ""), new.get(name, ""))
                for name in sorted({*old, *new})
                if old.get(name) != new.get(name)
            ),
        )


def _differences(before: Evaluation, after: Evaluation) -> list[str]:
    lines = []
    if before.classes != after.classes:
        lines.append(
            _("classes: {before} before, {after} after").format(
                before=", ".join(before.classes), after=", ".join(after.classes)
            )
        )
    if (before.accuracy, before.n) != (after.accuracy, after.n):
        lines.append(
            _("test accuracy: {before} before, {after} after").format(
                before=_accuracy_text(before), after=_accuracy_text(after)
            )
        )
    old = {prediction.sha256: prediction for prediction in before.predictions}
    new = {prediction.sha256: prediction for prediction in after.predictions}
    if unmatched := len(old.keys() ^ new.keys()):
        texts = "{count} test image is in one run only", "{count} test images are in one run only"
        lines.append(counted(*texts, unmatched))
    pairs = [(old[digest], new[digest]) for digest in old.keys() & new.keys()]
    if count := sum(was.predicted != now.predicted for was, now in pairs):
        lines.append(counted("{count} prediction differs", "{count} predictions differ", count))
    largest_difference = max((abs(was.score - now.score) for was, now in pairs), default=0.0)
    if largest_difference:
        lines.append(_("probabilities differ by up to {share}").format(share=f"{largest_difference:.2g}"))
    return lines


def _accuracy_text(evaluation: Evaluation) -> str:
    share = "—" if evaluation.accuracy is None else f"{evaluation.accuracy:.1%}"
    return f"{share} (N={evaluation.n})"
