"""A model's answers on a folder of class folders, counted: also for models of other makers."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from studio.errors import SourceMissing
from studio.language import _
from studio.predict.many import answers
from studio.predict.model import Answer
from studio.progress import Progress
from studio.retrain.compat.folder import label_of
from studio.retrain.evaluation.evaluation import Evaluation
from studio.retrain.snapshot import Example, Labelled


@dataclass(frozen=True)
class Asked:
    """What a model said of one picture of a known class. unsure: it said that it is not sure."""

    path: Path
    true: str
    answer: Answer

    @property
    def unsure(self) -> bool:
        """Whether the model said that it is not sure."""
        return self.answer.doubt is not None


@dataclass(frozen=True)
class Judgement:
    """What came of asking. evaluation: of the pictures whose class the model knows, sure or not.

    unknown: pictures by class that it cannot know; refused: files and why they are no pictures.
    """

    evaluation: Evaluation
    asked: tuple[Asked, ...]
    unknown: Counter[str] = field(default_factory=Counter)
    unknown_unsure: int = 0
    refused: tuple[str, ...] = ()

    @property
    def sure(self) -> Sequence[Asked]:
        """Those of known classes of which the model was sure."""
        return [each for each in self.asked if not each.unsure]


def judge(
    pictures: Sequence[Labelled],
    labels: tuple[str, ...],
    image_dir: Path,
    answer: Callable[[Path, str], Answer],
    *,
    threads: int,
    progress: Progress,
) -> Judgement:
    """Ask a model about every picture. labels: the model's classes; answer: as `many.answers` has it.

    A folder is of a class when its name is the label, or becomes it as `retrain.py` makes labels of folders.
    Raises SourceMissing where no picture is of a class that the model knows, Stopped.
    """
    known = {picture.path: _class_of(picture.label, labels) for picture in pictures}
    said: dict[str, Answer] = {}

    def remembered(path: Path, name: str) -> Answer:
        said[name] = answer(path, name)
        return said[name]

    rows = list(
        answers([p.path for p in pictures], image_dir, remembered, threads=threads, progress=progress)
    )
    refused = tuple(row.refused for row in rows if row.refused)
    asked: list[Asked] = []
    examples: list[Example] = []
    unknown: Counter[str] = Counter()
    unsure = 0
    for picture, row in zip(pictures, rows, strict=True):
        if row.refused:
            continue
        label = known[picture.path]
        found = said[row.name]
        if label is None:
            unknown[picture.label] += 1
            unsure += found.doubt is not None
            continue
        asked.append(Asked(picture.path, label, found))
        examples.append(Example(picture.sha256, picture.path, label, "testing"))
    if not asked:
        raise SourceMissing(
            _("expected folders named after the model's classes ({labels}); {path} has {found}.").format(
                labels=", ".join(labels), path=image_dir, found=_named({p.label for p in pictures})
            )
        )
    scores = np.array([_scores(each.answer, labels) for each in asked], np.float32)
    return Judgement(Evaluation.of(examples, scores, labels), tuple(asked), unknown, unsure, refused)


def _class_of(folder: str, labels: Collection[str]) -> str | None:
    if folder in labels:
        return folder
    as_the_peer = label_of(folder)
    return as_the_peer if as_the_peer in labels else None


def _scores(answer: Answer, labels: Sequence[str]) -> list[float]:
    by_label = {each.label: each.score for each in answer.predictions}
    return [by_label[label] for label in labels]


def _named(found: Collection[str]) -> str:
    return ", ".join(sorted(found)) or _("none")
