"""`python -m studio label_image`: what a trained model sees in images."""

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
from studio.predict.model import Answer, Prediction
from studio.retrain.confidence import Confidence

if TYPE_CHECKING:
    from studio.predict.batch import Judgement


_Command = TypeVar("_Command", bound=Callable[..., Any])
_PIXELS = click.IntRange(min=1, max=4096)
_DIVISOR = click.FloatRange(min=0, min_open=True)
_FLAGS = (
    flag("model", help=_("A run's folder, name or number; or a model's file, or a SavedModel's folder.")),
    flag(
        "graph",
        type=click.Path(exists=True, path_type=Path),
        help=_("Instead of --model: a frozen graph, a .tflite, a .keras or a SavedModel, of any maker."),
    ),
    flag(
        "labels",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help=_("Of a file: a text file, a label a line; the one beside it without this."),
    ),
    flag(
        "input_height", type=_PIXELS, default=224, help=_("Of a frozen graph: the input's height, in pixels.")
    ),
    flag(
        "input_width", type=_PIXELS, default=224, help=_("Of a frozen graph: the input's width, in pixels.")
    ),
    flag("input_mean", type=float, default=128.0, help=_("Of a file: taken from each value, 0 to 255.")),
    flag("input_std", type=_DIVISOR, default=128.0, help=_("Of a file: what is left is divided by this.")),
    flag("input_layer", default="input", help=_("Of a frozen graph: what the input is called.")),
    flag("output_layer", default="final_result", help=_("Of a file: what the output is called.")),
)


@dataclass(frozen=True)
class AskedModel:
    """An opened model.

    classify: every class of a file's image, surest first, as the file gives them, and the seconds that it
    took where they are told; raises ImageRefused. answer: likewise, and calibrated where that is known.

    sureness: None of a model that is no run's. at_once: by how many threads `answer` may be called.
    """

    labels: tuple[str, ...]
    classify: Callable[[Path, str], tuple[Sequence[Prediction], float | None]]
    answer: Callable[[Path, str], Answer]
    sureness: Confidence | None = None
    at_once: int = 1


def model_flags(command: _Command) -> _Command:
    """Add the flags that name a model, the peer's among them."""
    for each in reversed(_FLAGS):
        command = each(command)
    return command


def asked_model(model: str | None, graph: Path | None, labels: Path | None, **scaling: Any) -> AskedModel:
    """Open the model that the flags name. Raises UsageError where they name none or two, ModelUnreadable."""
    if (model is None) == (graph is None):
        raise click.UsageError(_("Say which model to ask: --model RUN, or --graph FILE with --labels FILE."))
    from studio.share.foreign_models import saved_model_dir

    named = Path(model or "").expanduser() if graph is None else graph
    if graph is not None or named.is_file() or saved_model_dir(named) is not None:
        return _file(named, labels, scaling)
    if labels is not None:
        raise click.UsageError(_("Say which model to ask: --model RUN, or --graph FILE with --labels FILE."))
    return _run(str(model))


def _file(path: Path, labels: Path | None, scaling: dict[str, Any]) -> AskedModel:
    from studio.share.foreign_models import GraphFile

    file = GraphFile.open(path, labels, **scaling)

    turn = threading.Lock()  # an interpreter of LiteRT answers one at a time

    def answer(source: Path, name: str) -> Answer:
        with turn:
            return Answer(file.classify_file(source, name)[0])

    return AskedModel(file.labels, file.classify_file, answer)


def _run(named: str) -> AskedModel:
    from studio.cli.runs import chosen_run
    from studio.predict.model import ModelPool
    from studio.settings import settings

    pool = ModelPool(chosen_run(named).run_dir, settings().threads_used)

    def classify(source: Path, name: str) -> tuple[Sequence[Prediction], float | None]:
        return pool.classify_file(source, name), None

    return AskedModel(pool.labels, classify, pool.answer_file, pool.sureness, len(pool))


_TOP = 5


@click.command(help=_("Ask a trained model what is in an image."))
@flag("image", type=click.Path(path_type=Path), required=True, multiple=True, help=_("May come many times."))
@model_flags
def label_image(image: tuple[Path, ...], **named: Any) -> None:
    """Print the surest classes of each image, as `retrain.py`'s companion does.

    The scores are the file's own, as every export of it prints them; a run that is not sure says so on
    standard error.
    """
    asked = asked_model(**named)
    refused = False
    for path in image:
        try:
            predictions, taken_s = asked.classify(path, str(path))
            doubt = None if asked.sureness is None else asked.answer(path, str(path)).doubt
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
        if doubt == "strange":
            click.echo(_("Not sure: it is like nothing in the training images."), err=True)
        elif doubt is not None:
            click.echo(_("Not sure: no class is likely enough."), err=True)
    if refused:
        raise SystemExit(1)


_COLUMNS = ("file", "true", "answer", "probability", "true_probability", "sure")


@click.command(help=_("Say how good a model is on a folder of class folders."))
@flag(
    "image_dir",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help=_("A folder of class folders."),
)
@model_flags
@click.option(
    "--csv",
    "csv_path",
    type=click.Path(path_type=Path),
    help=_("Write what was said of each image; - prints it."),
)
@click.option("--json", "as_json", is_flag=True, help=_("Print one JSON object, for programs."))
def evaluate(image_dir: Path, csv_path: Path | None, as_json: bool, **named: Any) -> None:
    """Print accuracy, a table of the classes and the confusion matrix."""
    from studio.cli.terminal import terminal_progress
    from studio.predict.batch import judge
    from studio.retrain.image_folder import read_image_folder

    asked = asked_model(**named)
    with terminal_progress() as progress:
        folder = read_image_folder(image_dir, progress)
        found = judge(
            folder.images, asked.labels, image_dir, asked.answer, threads=asked.at_once, progress=progress
        )
    for reason in (*(refusal.reason for refusal in folder.refusals), *found.refused):
        click.echo(reason, err=True)
    if csv_path is not None:
        _write(csv_path, found, image_dir)
    if as_json:
        click.echo(json.dumps(_told(found), ensure_ascii=False))
    elif csv_path != Path("-"):
        for line in _lines(found, asked.sureness is not None):
            click.echo(line)


def _write(path: Path, found: "Judgement", image_dir: Path) -> None:
    from studio.cli.terminal import write_table

    def row(each: Any) -> list[str | float]:
        said = {prediction.label: prediction.score for prediction in each.answer.predictions}
        first = each.answer.predictions[0]
        name = each.path.relative_to(image_dir).as_posix()
        return [name, each.true, first.label, first.score, said[each.true], each.answer.doubt or "sure"]

    write_table(path, _COLUMNS, map(row, found.asked))


def _told(found: "Judgement") -> dict[str, Any]:
    values = found.evaluation.to_json()
    for long in ("predictions", "precision_recall"):
        values.pop(long)
    sure = [each.answer.predictions[0].label == each.true for each in found.sure]
    return {
        **values,
        "sure": {"n": len(sure), "accuracy": sum(sure) / len(sure) if sure else None},
        "unknown": dict(found.unknown),
        "unknown_unsure": found.unknown_unsure,
        "refused": list(found.refused),
    }


def _lines(found: "Judgement", may_doubt: bool) -> list[str]:
    from studio.cli.terminal import columns

    evaluation = found.evaluation
    low, high = evaluation.interval or (0.0, 0.0)
    lines = [
        _("Accuracy = {accuracy} (N={n}), 95% interval {low} to {high}").format(
            accuracy=_share(evaluation.accuracy), n=f"{evaluation.n:,}", low=_share(low), high=_share(high)
        )
    ]
    if may_doubt:
        sure = [each.answer.predictions[0].label == each.true for each in found.sure]
        lines.append(
            _("Where it is sure = {accuracy} (N={n}); not sure: {unsure}").format(
                accuracy=_share(sum(sure) / len(sure) if sure else None),
                n=f"{len(sure):,}",
                unsure=f"{evaluation.n - len(sure):,}",
            )
        )
    if found.unknown:
        count = counted("{count} image", "{count} images", found.unknown.total())
        lines.append(
            _("Of classes that it does not know: {images} ({classes}), not sure of {unsure}").format(
                images=count, classes=", ".join(sorted(found.unknown)), unsure=f"{found.unknown_unsure:,}"
            )
        )
    heads = [_("class"), _("precision"), _("recall"), "F1", _("images")]
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
        *columns([heads, *rows]),
        "",
        *columns([[_("true ↓  said →"), *evaluation.classes], *confusion]),
    ]


def _share(value: float | None) -> str:
    return "—" if value is None else f"{value:.1%}"
