"""The model that a command asks: a run, or a model in a file of any kind, with the flags that tell of it."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from studio.cli.flags import flag
from studio.language import _
from studio.predict.model import Answer, Prediction
from studio.predict.sureness import Sureness

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

    classify: every class of a file's picture, surest first, as the file gives them, and the seconds that it
    took where they are told; raises PictureRefused. answer: likewise, and calibrated where that is known.

    sureness: None of a model that is no run's. at_once: by how many threads `answer` may be called.
    """

    labels: tuple[str, ...]
    classify: Callable[[Path, str], tuple[Sequence[Prediction], float | None]]
    answer: Callable[[Path, str], Answer]
    sureness: Sureness | None = None
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
    from studio.share.saved_forms import saved_model_dir

    named = Path(model or "").expanduser() if graph is None else graph
    if graph is not None or named.is_file() or saved_model_dir(named) is not None:
        return _file(named, labels, scaling)
    if labels is not None:
        raise click.UsageError(_("Say which model to ask: --model RUN, or --graph FILE with --labels FILE."))
    return _run(str(model))


def _file(path: Path, labels: Path | None, scaling: dict[str, Any]) -> AskedModel:
    from studio.share.graph_file import GraphFile

    file = GraphFile.open(path, labels, **scaling)

    turn = threading.Lock()  # an interpreter of LiteRT answers one at a time

    def answer(source: Path, name: str) -> Answer:
        with turn:
            return Answer(file.classify_file(source, name)[0])

    return AskedModel(file.labels, file.classify_file, answer)


def _run(named: str) -> AskedModel:
    from studio.cli.chosen_run import chosen_run
    from studio.predict.pool import ModelPool
    from studio.settings import settings

    pool = ModelPool(chosen_run(named).run_dir, settings().threads_used)

    def classify(source: Path, name: str) -> tuple[Sequence[Prediction], float | None]:
        return pool.classify_file(source, name), None

    return AskedModel(pool.labels, classify, pool.answer_file, pool.sureness, len(pool))
