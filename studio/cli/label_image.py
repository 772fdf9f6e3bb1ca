"""`python -m studio label_image`: what a trained model sees in pictures."""

import os
from pathlib import Path

import click

from studio.cli.flags import flag
from studio.errors import ModelUnreadable, PictureRefused
from studio.language import _
from studio.predict.model import Model

_TOP = 5


@click.command(help=_("Ask a trained model what is in a picture."))
@flag("model", type=click.Path(path_type=Path), required=True, help=_("A run's folder, or a run's name."))
@flag("image", type=click.Path(path_type=Path), required=True, multiple=True, help=_("May come many times."))
def label_image(model: Path, image: tuple[Path, ...]) -> None:
    """Print the surest classes of each picture, as `retrain.py`'s companion does."""
    opened = Model.open(_run_dir(model), threads=os.cpu_count() or 1)
    refused = False
    for path in image:
        try:
            predictions = opened.classify_file(path, str(path))
        except PictureRefused as error:
            click.echo(str(error), err=True)
            refused = True
            continue
        if len(image) > 1:
            click.echo(path)
        for prediction in predictions[:_TOP]:
            click.echo(f"{prediction.label} (score={prediction.score:.5f})")
    if refused:
        raise SystemExit(1)


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
