"""Many images at once: what a model says of each, as a table, as a CSV file."""

import csv
import os
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from studio.csv_cells import csv_cell, text_of_csv_cell
from studio.errors import ImageRefused, SourceMissing
from studio.i18n import _
from studio.predict.model import Answer
from studio.progress import Progress
from studio.retrain.compat import label_of
from studio.retrain.confidence import Doubt
from studio.retrain.evaluation.evaluation import Evaluation
from studio.retrain.snapshot import Example, Labelled

IMAGES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif")
)
"""The endings of files that are asked about; what has another one is no image, or is known as none."""
COLUMNS = ("file", "answer", "probability", "sure", "second", "second_probability", "strangeness", "refused")
_DIGITS = 6


@dataclass(frozen=True)
class Row:
    """What was said of one file. refused: why nothing was; empty where something was.

    name: its path in the folder. probability, second_probability: 0-1, calibrated.
    """

    name: str
    answer: str = ""
    probability: float | None = None
    doubt: Doubt | None = None
    second: str = ""
    second_probability: float | None = None
    strangeness: float | None = None
    refused: str = ""

    @classmethod
    def of(cls, name: str, answer: Answer) -> "Row":
        """Return the row of an answer."""
        first, *others = answer.predictions
        second = others[0] if others else None
        return cls(
            name,
            first.label,
            round(first.score, _DIGITS),
            answer.doubt,
            second.label if second else "",
            round(second.score, _DIGITS) if second else None,
            None if answer.strangeness is None else round(answer.strangeness, _DIGITS),
        )


def image_files(folder: Path) -> list[Path]:
    """Return the image files below a folder, in the order of their names. Raises SourceMissing."""
    if not folder.is_dir():
        raise SourceMissing(
            _("expected a folder with images; there is none at {path}. Name another.").format(path=folder)
        )
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            Path(root) / name
            for name in sorted(names)
            if Path(name).suffix.lower() in IMAGES and not name.startswith(".")
        ]
    if not found:
        raise SourceMissing(
            _("expected a folder with images; {path} holds none. Name another.").format(path=folder)
        )
    return found


def answers(
    files: Sequence[Path],
    folder: Path,
    answer: Callable[[Path, str], Answer],
    *,
    threads: int,
    progress: Progress,
) -> Iterator[Row]:
    """Yield a row for each file in their order; a few are in work at a time.

    answer: from a file and its name to what is said, in several threads at once; raises ImageRefused.
    Raises Stopped.
    """
    phase = _("Asking the model")

    def ask(path: Path) -> Row:
        name = path.relative_to(folder).as_posix()
        try:
            return Row.of(name, answer(path, name))
        except ImageRefused as refusal:
            return Row(name, refused=str(refusal))

    progress.report(phase, 0, len(files))
    with ThreadPoolExecutor(threads + 1, thread_name_prefix="asking") as pool:
        pending: deque[Future[Row]] = deque()
        waiting = iter(files)
        try:
            for done in range(len(files)):
                while len(pending) <= 2 * threads and (path := next(waiting, None)) is not None:
                    pending.append(pool.submit(ask, path))
                yield pending.popleft().result()
                progress.report(phase, done + 1, len(files))
        finally:
            for future in pending:
                future.cancel()


def write_csv(rows: Iterable[Row], file: IO[str]) -> None:
    """Write rows under `COLUMNS`; texts become cells that no spreadsheet runs."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        sure = "" if row.refused else row.doubt or "sure"
        writer.writerow(
            [
                csv_cell(row.name),
                csv_cell(row.answer),
                _number(row.probability),
                sure,
                csv_cell(row.second),
                _number(row.second_probability),
                _number(row.strangeness),
                csv_cell(row.refused),
            ]
        )


def read_csv(file: IO[str], most: int) -> list[Row]:
    """Return the first rows that `write_csv` wrote, `most` of them at most."""
    found: list[Row] = []
    for line in csv.DictReader(file):
        if len(found) == most:
            break
        doubt: Doubt | None = None
        if line["sure"] == "unlikely":
            doubt = "unlikely"
        elif line["sure"] == "strange":
            doubt = "strange"
        found.append(
            Row(
                text_of_csv_cell(line["file"]),
                text_of_csv_cell(line["answer"]),
                _value(line["probability"]),
                doubt,
                text_of_csv_cell(line["second"]),
                _value(line["second_probability"]),
                _value(line["strangeness"]),
                text_of_csv_cell(line["refused"]),
            )
        )
    return found


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.{_DIGITS}g}"


def _value(text: str) -> float | None:
    with suppress(ValueError):
        return float(text)
    return None


@dataclass(frozen=True)
class Asked:
    """What a model said of one image of a known class. unsure: it said that it is not sure."""

    path: Path
    true: str
    answer: Answer

    @property
    def unsure(self) -> bool:
        """Whether the model said that it is not sure."""
        return self.answer.doubt is not None


@dataclass(frozen=True)
class Judgement:
    """What came of asking. evaluation: of the images whose class the model knows, sure or not.

    unknown: images by class that it cannot know; refused: files and why they are no images.
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
    images: Sequence[Labelled],
    labels: tuple[str, ...],
    image_dir: Path,
    answer: Callable[[Path, str], Answer],
    *,
    threads: int,
    progress: Progress,
) -> Judgement:
    """Ask a model about every image. labels: the model's classes; answer: as `many.answers` has it.

    A folder is of a class when its name is the label, or becomes it as `retrain.py` makes labels of folders.
    Raises SourceMissing where no image is of a class that the model knows, Stopped.
    """
    known = {image.path: _class_of(image.label, labels) for image in images}
    said: dict[str, Answer] = {}

    def remembered(path: Path, name: str) -> Answer:
        said[name] = answer(path, name)
        return said[name]

    rows = list(answers([p.path for p in images], image_dir, remembered, threads=threads, progress=progress))
    refused = tuple(row.refused for row in rows if row.refused)
    asked: list[Asked] = []
    examples: list[Example] = []
    unknown: Counter[str] = Counter()
    unsure = 0
    for image, row in zip(images, rows, strict=True):
        if row.refused:
            continue
        label = known[image.path]
        found = said[row.name]
        if label is None:
            unknown[image.label] += 1
            unsure += found.doubt is not None
            continue
        asked.append(Asked(image.path, label, found))
        examples.append(Example(image.sha256, image.path, label, "testing"))
    if not asked:
        raise SourceMissing(
            _("expected folders named after the model's classes ({labels}); {path} has {found}.").format(
                labels=", ".join(labels), path=image_dir, found=_named({p.label for p in images})
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
