"""Predictions for many images: rows, their CSV file, and evaluation on a folder of class folders."""

import csv
import os
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np

from studio.csv_cells import csv_cell, text_of_csv_cell
from studio.errors import ImageRefused, SourceMissing
from studio.i18n import _
from studio.predict.model import Prediction
from studio.progress import Progress
from studio.retrain.compat import folder_label
from studio.retrain.confidence import STORED_REASONS, AbstentionReason
from studio.retrain.evaluation.evaluation import Evaluation
from studio.retrain.snapshot import Example, LabelledImage

IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif")
)
"""Suffixes of the files that are predicted; all others are ignored."""
COLUMNS = ("file", "answer", "probability", "sure", "second", "second_probability", "strangeness", "refused")
"""Columns of the CSV file; their names are older than those in the code."""
_DIGITS = 6
_REASONS = {stored: reason for reason, stored in STORED_REASONS.items()}


@dataclass(frozen=True)
class PredictionRow:
    """The prediction for one file. skip_message: why the file was skipped; empty where it was not.

    name: its path below the folder. probability, second_probability: 0-1, calibrated.
    abstention: why the prediction is not sure; None if it is. ood_score: 0-2, or None where not measured.
    """

    name: str
    label: str = ""
    probability: float | None = None
    abstention: AbstentionReason | None = None
    second_label: str = ""
    second_probability: float | None = None
    ood_score: float | None = None
    skip_message: str = ""

    @classmethod
    def of(cls, name: str, prediction: Prediction) -> "PredictionRow":
        """Return the row of a prediction."""
        first, *others = prediction.scores
        second = others[0] if others else None
        return cls(
            name,
            first.label,
            round(first.score, _DIGITS),
            prediction.abstention,
            second.label if second else "",
            round(second.score, _DIGITS) if second else None,
            None if prediction.ood_score is None else round(prediction.ood_score, _DIGITS),
        )


def image_files(folder: Path) -> list[Path]:
    """Return the image files below a folder, sorted by path. Raises SourceMissing."""
    if not folder.is_dir():
        raise SourceMissing(
            _("expected a folder with images; {path} is not a folder. Choose another.").format(path=folder)
        )
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            Path(root) / name
            for name in sorted(names)
            if Path(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith(".")
        ]
    if not found:
        raise SourceMissing(
            _("expected a folder with images; {path} has none. Choose another.").format(path=folder)
        )
    return found


def predict_files(
    files: Sequence[Path],
    folder: Path,
    predict_file: Callable[[Path, str], Prediction],
    *,
    threads: int,
    progress: Progress,
) -> Iterator[PredictionRow]:
    """Yield a row for each file, in their order; a few files are in work at a time.

    predict_file: called with a file and its name, in several threads at once; raises ImageRefused.
    Raises Stopped.
    """
    phase = _("Predicting")

    def predict_row(path: Path) -> PredictionRow:
        name = path.relative_to(folder).as_posix()
        try:
            return PredictionRow.of(name, predict_file(path, name))
        except ImageRefused as error:
            return PredictionRow(name, skip_message=str(error))

    progress.report(phase, 0, len(files))
    with ThreadPoolExecutor(threads + 1, thread_name_prefix="predicting") as pool:
        pending: deque[Future[PredictionRow]] = deque()
        waiting = iter(files)
        try:
            for done in range(len(files)):
                while len(pending) <= 2 * threads and (path := next(waiting, None)) is not None:
                    pending.append(pool.submit(predict_row, path))
                yield pending.popleft().result()
                progress.report(phase, done + 1, len(files))
        finally:
            for future in pending:
                future.cancel()


def write_csv(rows: Iterable[PredictionRow], file: IO[str]) -> None:
    """Write rows as CSV under `COLUMNS`; texts are escaped so that no spreadsheet runs them as formulas."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        sure = (
            "" if row.skip_message else "sure" if row.abstention is None else STORED_REASONS[row.abstention]
        )
        writer.writerow(
            [
                csv_cell(row.name),
                csv_cell(row.label),
                _format_number(row.probability),
                sure,
                csv_cell(row.second_label),
                _format_number(row.second_probability),
                _format_number(row.ood_score),
                csv_cell(row.skip_message),
            ]
        )


def read_csv(file: IO[str], limit: int) -> list[PredictionRow]:
    """Return the first rows, at most `limit`, of a file that `write_csv` wrote."""
    return [
        PredictionRow(
            text_of_csv_cell(line["file"]),
            text_of_csv_cell(line["answer"]),
            _parse_number(line["probability"]),
            _REASONS.get(line["sure"]),
            text_of_csv_cell(line["second"]),
            _parse_number(line["second_probability"]),
            _parse_number(line["strangeness"]),
            text_of_csv_cell(line["refused"]),
        )
        for line in islice(csv.DictReader(file), limit)
    ]


def _format_number(value: float | None) -> str:
    return "" if value is None else f"{value:.{_DIGITS}g}"


def _parse_number(text: str) -> float | None:
    with suppress(ValueError):
        return float(text)
    return None


@dataclass(frozen=True)
class LabelledPrediction:
    """The prediction for an image of a known class."""

    path: Path
    true: str
    prediction: Prediction

    @property
    def abstained(self) -> bool:
        """Return whether the prediction is not sure."""
        return self.prediction.abstention is not None


@dataclass(frozen=True)
class FolderEvaluation:
    """Results of a model on a folder of class folders.

    evaluation: of all images whose class the model knows, sure or not; predictions: those images.
    unknown: number of images by class that the model does not know; unknown_abstained: how many of them the
    model is not sure about.
    skip_messages: one line for each skipped file.
    """

    evaluation: Evaluation
    predictions: tuple[LabelledPrediction, ...]
    unknown: Counter[str] = field(default_factory=Counter)
    unknown_abstained: int = 0
    skip_messages: tuple[str, ...] = ()

    @property
    def sure(self) -> Sequence[LabelledPrediction]:
        """Return the images of known classes that the model is sure about."""
        return [each for each in self.predictions if not each.abstained]


def evaluate_folder(
    images: Sequence[LabelledImage],
    labels: tuple[str, ...],
    image_dir: Path,
    predict_file: Callable[[Path, str], Prediction],
    *,
    threads: int,
    progress: Progress,
) -> FolderEvaluation:
    """Evaluate a model on labelled images. labels: its classes; predict_file: as for `predict_files`.

    A folder is of a class if its name is the label, or becomes it by the rule of `retrain.py` for labels.
    Raises SourceMissing if no image is of a class that the model knows, and Stopped.
    """
    predictions: dict[str, Prediction] = {}

    def predict_and_keep(path: Path, name: str) -> Prediction:
        predictions[name] = predict_file(path, name)
        return predictions[name]

    paths = [image.path for image in images]
    rows = list(predict_files(paths, image_dir, predict_and_keep, threads=threads, progress=progress))
    labelled: list[LabelledPrediction] = []
    examples: list[Example] = []
    unknown: Counter[str] = Counter()
    unknown_abstained = 0
    for image, row in zip(images, rows, strict=True):
        if row.skip_message:
            continue
        label = _model_class(image.label, labels)
        prediction = predictions[row.name]
        if label is None:
            unknown[image.label] += 1
            unknown_abstained += prediction.abstention is not None
            continue
        labelled.append(LabelledPrediction(image.path, label, prediction))
        examples.append(Example(image.sha256, image.path, label, "testing"))
    if not labelled:
        folder_names = ", ".join(sorted({image.label for image in images})) or _("none")
        raise SourceMissing(
            _("expected folders named after the model's classes ({labels}); {path} has {found}.").format(
                labels=", ".join(labels), path=image_dir, found=folder_names
            )
        )
    scores = np.array([_scores(each.prediction, labels) for each in labelled], np.float32)
    return FolderEvaluation(
        Evaluation.of(examples, scores, labels),
        tuple(labelled),
        unknown,
        unknown_abstained,
        tuple(row.skip_message for row in rows if row.skip_message),
    )


def _model_class(folder: str, labels: Collection[str]) -> str | None:
    if folder in labels:
        return folder
    compat_label = folder_label(folder)
    return compat_label if compat_label in labels else None


def _scores(prediction: Prediction, labels: Sequence[str]) -> list[float]:
    by_label = {each.label: each.score for each in prediction.scores}
    return [by_label[label] for label in labels]
