"""`python -m studio label_image` and `evaluate`: predictions of a model on images and on labelled folders."""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from studio.cli.options import flag
from studio.errors import ImageRefused
from studio.i18n import _, counted
from studio.predict.model import ClassScore, Prediction
from studio.retrain.confidence import STORED_REASONS, Confidence

if TYPE_CHECKING:
    from studio.predict.batch import FolderEvaluation


_Command = TypeVar("_Command", bound=Callable[..., Any])
_PIXELS = click.IntRange(min=1, max=4096)
_DIVISOR = click.FloatRange(min=0, min_open=True)
_FLAGS = (
    flag("model", help=_("A run (folder, name or number), a model file, or a SavedModel folder.")),
    flag(
        "graph",
        type=click.Path(exists=True, path_type=Path),
        help=_("Instead of --model: a frozen graph, .tflite, .keras or SavedModel of any origin."),
    ),
    flag(
        "labels",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help=_("For a file: text file with one label per line (default: beside it)."),
    ),
    flag("input_height", type=_PIXELS, default=224, help=_("For a frozen graph: input height in pixels.")),
    flag("input_width", type=_PIXELS, default=224, help=_("For a frozen graph: input width in pixels.")),
    flag(
        "input_mean",
        type=float,
        default=128.0,
        help=_("For a file: mean, subtracted from pixel values 0 to 255."),
    ),
    flag(
        "input_std",
        type=_DIVISOR,
        default=128.0,
        help=_("For a file: standard deviation, by which the difference is divided."),
    ),
    flag("input_layer", default="input", help=_("For a frozen graph: name of the input.")),
    flag("output_layer", default="final_result", help=_("For a file: name of the output.")),
)


@dataclass(frozen=True)
class OpenedModel:
    """An opened model.

    classify: returns the scores of all classes for an image file, highest first, as the model file gives
    them, and the seconds of inference if measured; raises ImageRefused.
    answer: likewise, calibrated if the run is.

    confidence: None for a model that is not a run. threads: how many threads may call `answer` at once.
    """

    labels: tuple[str, ...]
    classify: Callable[[Path, str], tuple[Sequence[ClassScore], float | None]]
    answer: Callable[[Path, str], Prediction]
    confidence: Confidence | None = None
    threads: int = 1


def model_flags(command: _Command) -> _Command:
    """Add the flags that name a model, those of label_image.py among them."""
    for each in reversed(_FLAGS):
        command = each(command)
    return command


def open_model(model: str | None, graph: Path | None, labels: Path | None, **scaling: Any) -> OpenedModel:
    """Open the model that the flags name. Raises UsageError if they name none or two, ModelUnreadable."""
    if (model is None) == (graph is None):
        raise click.UsageError(_("Expected --model RUN, or --graph FILE with --labels FILE."))
    from studio.share.foreign_models import saved_model_dir

    named = Path(model or "").expanduser() if graph is None else graph
    if graph is not None or named.is_file() or saved_model_dir(named) is not None:
        return _open_file(named, labels, scaling)
    if labels is not None:
        raise click.UsageError(_("Expected --model RUN, or --graph FILE with --labels FILE."))
    return _open_run(str(model))


def _open_file(path: Path, labels: Path | None, scaling: dict[str, Any]) -> OpenedModel:
    from studio.share.foreign_models import ForeignModel

    file = ForeignModel.open(path, labels, **scaling)

    lock = threading.Lock()  # a LiteRT interpreter serves one call at a time

    def answer(source: Path, name: str) -> Prediction:
        with lock:
            return Prediction(file.classify_file(source, name)[0])

    return OpenedModel(file.labels, file.classify_file, answer)


def _open_run(named: str) -> OpenedModel:
    from studio.cli.runs import find_run
    from studio.predict.model import ModelPool
    from studio.settings import settings

    pool = ModelPool(find_run(named).run_dir, settings().threads_used)

    def classify(source: Path, name: str) -> tuple[Sequence[ClassScore], float | None]:
        return pool.classify_file(source, name), None

    return OpenedModel(pool.labels, classify, pool.predict_file, pool.confidence, len(pool))


_TOP = 5


@click.command(help=_("Classify images with a trained model."))
@flag(
    "image",
    type=click.Path(path_type=Path),
    required=True,
    multiple=True,
    help=_("An image file; repeatable."),
)
@model_flags
def label_image(image: tuple[Path, ...], **named: Any) -> None:
    """Print the top five classes of each image, in the format of label_image.py.

    The scores are those of the model file, as in every export; an abstention is reported on standard error.
    """
    model = open_model(**named)
    refused = False
    for path in image:
        try:
            predictions, taken_s = model.classify(path, str(path))
            abstention = None if model.confidence is None else model.answer(path, str(path)).abstention
        except ImageRefused as error:
            click.echo(str(error), err=True)
            refused = True
            continue
        if len(image) > 1:
            click.echo(path)
        if taken_s is not None:  # not translated: programs read it
            click.echo(f"Evaluation time (1-image): {taken_s:.3f}s")
        for prediction in predictions[:_TOP]:
            click.echo(f"{prediction.label} (score={prediction.score:.5f})")
        if abstention == "out_of_distribution":
            click.echo(_("Not sure: the image is unlike the training images."), err=True)
        elif abstention is not None:
            click.echo(_("Not sure: no class is likely enough."), err=True)
    if refused:
        raise SystemExit(1)


_COLUMNS = ("file", "true", "answer", "probability", "true_probability", "sure")


@click.command(help=_("Evaluate a model on a folder of class folders."))
@flag(
    "image_dir",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help=_("Folder with one subfolder per class."),
)
@model_flags
@click.option(
    "--csv",
    "csv_path",
    type=click.Path(path_type=Path),
    help=_("Write the predictions to this CSV file; -: standard output."),
)
@click.option("--json", "as_json", is_flag=True, help=_("Print one JSON object, for programs."))
def evaluate(image_dir: Path, csv_path: Path | None, as_json: bool, **named: Any) -> None:
    """Print the accuracy, a table of the classes and the confusion matrix."""
    from studio.cli.terminal import terminal_progress
    from studio.predict.batch import evaluate_folder
    from studio.retrain.image_folder import read_image_folder

    model = open_model(**named)
    with terminal_progress() as progress:
        folder = read_image_folder(image_dir, progress)
        found = evaluate_folder(
            folder.images, model.labels, image_dir, model.answer, threads=model.threads, progress=progress
        )
    for reason in (*(file.reason for file in folder.skipped), *found.skip_messages):
        click.echo(reason, err=True)
    if csv_path is not None:
        _write_predictions(csv_path, found, image_dir)
    if as_json:
        click.echo(json.dumps(_as_json(found), ensure_ascii=False))
    elif csv_path != Path("-"):
        for line in _lines(found, model.confidence is not None):
            click.echo(line)


def _write_predictions(path: Path, found: "FolderEvaluation", image_dir: Path) -> None:
    from studio.cli.terminal import write_table

    def row(each: Any) -> list[str | float]:
        scores = {each_class.label: each_class.score for each_class in each.prediction.scores}
        first = each.prediction.scores[0]
        name = each.path.relative_to(image_dir).as_posix()
        reason = each.prediction.abstention
        sure = "sure" if reason is None else STORED_REASONS[reason]
        return [name, each.true, first.label, first.score, scores[each.true], sure]

    write_table(path, _COLUMNS, map(row, found.predictions))


def _as_json(found: "FolderEvaluation") -> dict[str, Any]:
    values = found.evaluation.to_json()
    for long in ("predictions", "precision_recall"):
        values.pop(long)
    sure = [each.prediction.scores[0].label == each.true for each in found.sure]
    return {
        **values,
        "sure": {"n": len(sure), "accuracy": sum(sure) / len(sure) if sure else None},
        "unknown": dict(found.unknown),
        "unknown_unsure": found.unknown_abstained,
        "refused": list(found.skip_messages),
    }


def _lines(found: "FolderEvaluation", abstains: bool) -> list[str]:
    from studio.cli.terminal import columns

    evaluation = found.evaluation
    low, high = evaluation.interval or (0.0, 0.0)
    lines = [
        _("Accuracy = {accuracy} (N={n}), 95% CI {low} to {high}").format(
            accuracy=_share(evaluation.accuracy), n=f"{evaluation.n:,}", low=_share(low), high=_share(high)
        )
    ]
    if abstains:
        sure = [each.prediction.scores[0].label == each.true for each in found.sure]
        lines.append(
            _("Accuracy where it is sure = {accuracy} (N={n}); not sure: {unsure}").format(
                accuracy=_share(sum(sure) / len(sure) if sure else None),
                n=f"{len(sure):,}",
                unsure=f"{evaluation.n - len(sure):,}",
            )
        )
    if found.unknown:
        count = counted("{count} image", "{count} images", found.unknown.total())
        lines.append(
            _("Of classes that the model does not know: {images} ({classes}), not sure: {unsure}").format(
                images=count, classes=", ".join(sorted(found.unknown)), unsure=f"{found.unknown_abstained:,}"
            )
        )
    headings = [_("class"), _("precision"), _("recall"), "F1", _("images")]
    rows = [
        [each.label, _share(each.precision), _share(each.recall), _share(each.f1), f"{each.count:,}"]
        for each in evaluation.scores
    ]
    confusion = [
        [label, *(f"{count:,}" for count in row)]
        for label, row in zip(evaluation.classes, evaluation.confusion, strict=True)
    ]
    return [
        *lines,
        "",
        *columns([headings, *rows]),
        "",
        *columns([[_("true ↓  predicted →"), *evaluation.classes], *confusion]),
    ]


def _share(value: float | None) -> str:
    return "—" if value is None else f"{value:.1%}"
