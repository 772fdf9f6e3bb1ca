"""`python -m studio label_image`: what a trained model sees in pictures."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from studio.cli.flags import flag
from studio.errors import ModelUnreadable, PictureRefused
from studio.language import _
from studio.predict.model import Model, Prediction

_TOP = 5
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_PIXELS = click.IntRange(min=1, max=4096)
_DIVISOR = click.FloatRange(min=0, min_open=True)


@click.command(help=_("Ask a trained model what is in a picture."))
@flag("model", type=click.Path(path_type=Path), help=_("A run's folder, or a run's name."))
@flag("image", type=click.Path(path_type=Path), required=True, multiple=True, help=_("May come many times."))
@flag("graph", type=_FILE, help=_("Instead of --model: a frozen graph, or a .tflite, of any maker."))
@flag("labels", type=_FILE, help=_("With --graph: a text file, a label a line."))
@flag("input_height", type=_PIXELS, default=224, help=_("With --graph: the input's height, in pixels."))
@flag("input_width", type=_PIXELS, default=224, help=_("With --graph: the input's width, in pixels."))
@flag("input_mean", type=float, default=128.0, help=_("With --graph: taken from each value, 0 to 255."))
@flag("input_std", type=_DIVISOR, default=128.0, help=_("With --graph: what is left is divided by this."))
@flag("input_layer", default="input", help=_("With --graph: what the input is called."))
@flag("output_layer", default="final_result", help=_("With --graph: what the output is called."))
def label_image(
    model: Path | None, image: tuple[Path, ...], graph: Path | None, labels: Path | None, **scaling: Any
) -> None:
    """Print the surest classes of each picture, as `retrain.py`'s companion does."""
    if model is not None and graph is None and labels is None:
        opened = Model.open(_run_dir(model), threads=os.cpu_count() or 1)
        refused = _ask(image, lambda path, name: (opened.classify_file(path, name), None))
    elif model is None and graph is not None and labels is not None:
        from studio.share.graph_file import GraphFile

        file = GraphFile.open(graph, labels, **scaling)
        refused = _ask(image, file.classify_file)
    else:
        raise click.UsageError(_("Say which model to ask: --model RUN, or --graph FILE with --labels FILE."))
    if refused:
        raise SystemExit(1)


def _ask(
    images: tuple[Path, ...],
    classify: Callable[[Path, str], tuple[Sequence[Prediction], float | None]],
) -> bool:
    """Print what is in each picture, and the seconds where there are any; return whether any was refused."""
    refused = False
    for path in images:
        try:
            predictions, taken_s = classify(path, str(path))
        except PictureRefused as error:
            click.echo(str(error), err=True)
            refused = True
            continue
        if len(images) > 1:
            click.echo(path)
        if taken_s is not None:  # not translated: programs read it
            click.echo(f"Evaluation time (1-image): {taken_s:.3f}s")
        for prediction in predictions[:_TOP]:
            click.echo(f"{prediction.label} (score={prediction.score:.5f})")
    return refused


def _run_dir(model: Path) -> Path:
    if model.is_dir():
        return model
    from studio.settings import settings

    named = settings().runs_dir / model
    if not named.is_dir():
        raise ModelUnreadable(
            _("expected a run's folder, or the name of one in {runs}; there is no {model}.").format(
                runs=settings().runs_dir, model=model
            )
        )
    return named
