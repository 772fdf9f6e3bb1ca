"""What is different between two runs: in their images, and in what each class came to."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.datasets.splits import Split
from studio.i18n import _, counted
from studio.retrain.evaluation.evaluation import ClassScore, Evaluation, TestPrediction
from studio.retrain.options import RunOptions
from studio.retrain.run import read_run
from studio.retrain.run_folder import read_model_json


@dataclass(frozen=True)
class Place:
    """Where an image stands in a snapshot."""

    label: str
    split: Split


@dataclass(frozen=True)
class Change:
    """An image (SHA-256) whose place is not the same in both; None where it is not among the images."""

    sha256: str
    before: Place | None
    after: Place | None


@dataclass(frozen=True)
class ClassChange:
    """Images of a class, before and after, and how one became the other.

    added, removed: images that were not there before, or are not any more; came, left: those that were
    relabelled. after = before + added - removed + came - left.
    """

    label: str
    before: int
    after: int
    added: int
    removed: int
    came: int
    left: int


@dataclass(frozen=True)
class Changes:
    """All images that are not in the same place, by SHA-256, and the classes of both, sorted.

    relabelled: in another class; moved: on another side of the split, relabelled or not.
    """

    added: tuple[Change, ...]
    removed: tuple[Change, ...]
    relabelled: tuple[Change, ...]
    moved: tuple[Change, ...]
    by_class: tuple[ClassChange, ...]

    def __bool__(self) -> bool:
        """Whether anything is different."""
        return any((self.added, self.removed, self.relabelled, self.moved))

    @classmethod
    def of(cls, changed: Iterable[Change], before: Mapping[str, int], after: Mapping[str, int]) -> "Changes":
        """Sort changes out. before, after: how many images each class has in all."""
        found = sorted(changed, key=lambda change: change.sha256)
        added = tuple(change for change in found if change.before is None)
        removed = tuple(change for change in found if change.after is None)
        both = [(change, change.before, change.after) for change in found]
        stayed = [(change, one, other) for change, one, other in both if one and other]
        relabelled = tuple(change for change, one, other in stayed if one.label != other.label)
        moved = tuple(change for change, one, other in stayed if one.split != other.split)
        came = Counter(change.after.label for change in relabelled if change.after)
        left = Counter(change.before.label for change in relabelled if change.before)
        new = Counter(change.after.label for change in added if change.after)
        gone = Counter(change.before.label for change in removed if change.before)
        by_class = tuple(
            ClassChange(
                label,
                before.get(label, 0),
                after.get(label, 0),
                new[label],
                gone[label],
                came[label],
                left[label],
            )
            for label in sorted({*before, *after})
        )
        return cls(added, removed, relabelled, moved, by_class)


@dataclass(frozen=True)
class ScoreChange:
    """What a class came to in two runs; None where one of them does not know the class."""

    label: str
    before: ClassScore | None
    after: ClassScore | None


def score_changes(before: Evaluation, after: Evaluation) -> tuple[ScoreChange, ...]:
    """Compare two evaluations class by class, sorted by class."""
    one = {score.label: score for score in before.scores}
    other = {score.label: score for score in after.scores}
    labels = sorted({*before.classes, *after.classes})
    return tuple(ScoreChange(label, one.get(label), other.get(label)) for label in labels)


@dataclass(frozen=True)
class Turned:
    """Images that both runs were tested on and of which one of them was right: (before, after).

    mended: those that the second one got right; broken: those that only the first one did.
    """

    mended: tuple[tuple[TestPrediction, TestPrediction], ...]
    broken: tuple[tuple[TestPrediction, TestPrediction], ...]


def turned(before: Evaluation, after: Evaluation) -> Turned:
    """Find the test images of which two runs think differently, and are not both wrong."""
    earlier = {each.sha256: each for each in before.predictions}
    both = [(earlier[each.sha256], each) for each in after.predictions if each.sha256 in earlier]
    right = [(one.true == one.predicted, other.true == other.predicted, (one, other)) for one, other in both]
    return Turned(
        mended=tuple(pair for was, now, pair in right if now and not was),
        broken=tuple(pair for was, now, pair in right if was and not now),
    )


def options_to_repeat(options: RunOptions, facts: Mapping[str, Any]) -> RunOptions:
    """Return what a run is to be done again with: what it chose itself, where it was to choose.

    How far a run comes in so many minutes no other run need come.
    """
    chosen = facts.get("chosen")
    return options if chosen is None else RunOptions.from_json(chosen)


@dataclass(frozen=True)
class Outcome:
    """What a run came to, and the versions of what it was made with, by name."""

    evaluation: Evaluation
    model_sha256: str
    versions: Mapping[str, str]

    @classmethod
    def of_folder(cls, run_dir: Path) -> "Outcome":
        """Return that of a finished run's folder. Raises ModelUnreadable."""
        result = read_run(run_dir)
        return cls(result.evaluation, result.model_sha256, read_model_json(run_dir).get("versions", {}))


@dataclass(frozen=True)
class Version:
    """A library in another version than before; empty where it is not there."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Repetition:
    """differences: a line each, for people; none where all numbers are the same.

    same_file: whether the model files are the same byte for byte, which other versions of libraries need not
    leave even where they compute the same. versions: those that are not the same.
    """

    differences: tuple[str, ...]
    same_file: bool
    versions: tuple[Version, ...]

    @property
    def same(self) -> bool:
        """Whether the numbers are."""
        return not self.differences

    @classmethod
    def of(cls, before: Outcome, after: Outcome) -> "Repetition":
        """Compare a run with its repetition."""
        one, other = before.versions, after.versions
        return cls(
            tuple(_differences(before.evaluation, after.evaluation)),
            before.model_sha256 == after.model_sha256,
            tuple(
                Version(name, one.get(name, ""), other.get(name, ""))
                for name in sorted({*one, *other})
                if one.get(name) != other.get(name)
            ),
        )


def _differences(before: Evaluation, after: Evaluation) -> list[str]:
    found = []
    if before.classes != after.classes:
        found.append(
            _("classes: {before} became {after}").format(
                before=", ".join(before.classes), after=", ".join(after.classes)
            )
        )
    if (before.accuracy, before.n) != (after.accuracy, after.n):
        found.append(
            _("test accuracy: {before} became {after}").format(before=_share(before), after=_share(after))
        )
    one = {each.sha256: each for each in before.predictions}
    other = {each.sha256: each for each in after.predictions}
    if elsewhere := len(one.keys() ^ other.keys()):
        alone = "{count} image is tested in one only", "{count} images are tested in one only"
        found.append(counted(*alone, elsewhere))
    both = [(one[digest], other[digest]) for digest in one.keys() & other.keys()]
    if differ := sum(was.predicted != now.predicted for was, now in both):
        found.append(counted("{count} answer is another", "{count} answers are others", differ))
    furthest = max((abs(was.score - now.score) for was, now in both), default=0.0)
    if furthest:
        found.append(_("probabilities: up to {share} apart").format(share=f"{furthest:.2g}"))
    return found


def _share(evaluation: Evaluation) -> str:
    share = "—" if evaluation.accuracy is None else f"{evaluation.accuracy:.1%}"
    return f"{share} (N={evaluation.n})"
