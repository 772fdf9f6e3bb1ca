"""Whether a run that was done again came to the same, and what may be why where it did not."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.language import _, counted
from studio.retrain.evaluation.evaluation import Evaluation
from studio.retrain.options import RunOptions
from studio.retrain.run import read_run
from studio.retrain.run_folder import read_card


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
        return cls(result.evaluation, result.model_sha256, read_card(run_dir).get("versions", {}))


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
        alone = "{count} picture is tested in one only", "{count} pictures are tested in one only"
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
