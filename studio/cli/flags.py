"""Options that can be written both ways, `--image_dir` as in `retrain.py` and `--image-dir`."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])


def flag(name: str, **attributes: Any) -> Callable[[_Command], _Command]:
    """Add an option to a command; its help shows the default. attributes: as for `click.option`."""
    spellings = dict.fromkeys((f"--{name}", f"--{name.replace('_', '-')}"))
    return click.option(*spellings, name, show_default="default" in attributes, **attributes)
