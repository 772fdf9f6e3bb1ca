"""`python -m studio label_image`: what a trained model sees in pictures."""

from pathlib import Path
from typing import Any

import click

from studio.cli.asked_model import asked_model, model_flags
from studio.cli.flags import flag
from studio.errors import PictureRefused
from studio.language import _

_TOP = 5


@click.command(help=_("Ask a trained model what is in a picture."))
@flag("image", type=click.Path(path_type=Path), required=True, multiple=True, help=_("May come many times."))
@model_flags
def label_image(image: tuple[Path, ...], **named: Any) -> None:
    """Print the surest classes of each picture, as `retrain.py`'s companion does.

    The scores are the file's own, as every export of it prints them; a run that is not sure says so on
    standard error.
    """
    asked = asked_model(**named)
    refused = False
    for path in image:
        try:
            predictions, taken_s = asked.classify(path, str(path))
            doubt = None if asked.sureness is None else asked.answer(path, str(path)).doubt
        except PictureRefused as error:
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
            click.echo(_("Not sure: it is like nothing in the training pictures."), err=True)
        elif doubt is not None:
            click.echo(_("Not sure: no class is likely enough."), err=True)
    if refused:
        raise SystemExit(1)
