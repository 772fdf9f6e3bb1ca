"""What is different between two runs: in their pictures, and in what each class came to."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from studio.curate.split import Split
from studio.retrain.evaluation.evaluation import ClassScore, Evaluation, TestPrediction


@dataclass(frozen=True)
class Place:
    """Where a picture stands in a snapshot."""

    label: str
    split: Split


@dataclass(frozen=True)
class Change:
    """A picture (SHA-256) whose place is not the same in both; None where it is not among the pictures."""

    sha256: str
    before: Place | None
    after: Place | None


@dataclass(frozen=True)
class ClassChange:
    """Pictures of a class, before and after, and how one became the other.

    added, removed: pictures that were not there before, or are not any more; came, left: those that were
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
    """All pictures that are not in the same place, by SHA-256, and the classes of both, sorted.

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
        """Sort changes out. before, after: how many pictures each class has in all."""
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
    """Pictures that both runs were tested on and of which one of them was right: (before, after).

    mended: those that the second one got right; broken: those that only the first one did.
    """

    mended: tuple[tuple[TestPrediction, TestPrediction], ...]
    broken: tuple[tuple[TestPrediction, TestPrediction], ...]


def turned(before: Evaluation, after: Evaluation) -> Turned:
    """Find the test pictures of which two runs think differently, and are not both wrong."""
    earlier = {each.sha256: each for each in before.predictions}
    both = [(earlier[each.sha256], each) for each in after.predictions if each.sha256 in earlier]
    right = [(one.true == one.predicted, other.true == other.predicted, (one, other)) for one, other in both]
    return Turned(
        mended=tuple(pair for was, now, pair in right if now and not was),
        broken=tuple(pair for was, now, pair in right if was and not now),
    )
