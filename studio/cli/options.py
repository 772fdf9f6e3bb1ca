"""Options that the ways in have in common."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from studio.i18n import _

_Command = TypeVar("_Command", bound=Callable[..., Any])
project = click.option(
    "--project", "project_name", required=True, help=_("The project's name; made where missing.")
)
class_ = click.option(
    "--class", "class_name", help=_("The class of images that have none of their own; none: label later.")
)
allow_host = click.option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    help=_("A host to ask though it is not public; repeatable."),
)
as_json = click.option("--json", "as_json", is_flag=True, help=_("Print one JSON object, for programs."))


def min_size(default: int) -> Callable[[_Command], _Command]:
    """Return the option by which small images are left out."""
    return click.option(
        "--min-size",
        type=click.IntRange(min=0),
        default=default,
        show_default=True,
        help=_("Of the web: leave out images with a shorter side, in pixels."),
    )


def flag(name: str, **attributes: Any) -> Callable[[_Command], _Command]:
    """Add an option to a command; its help shows the default. attributes: as for `click.option`."""
    spellings = dict.fromkeys((f"--{name}", f"--{name.replace('_', '-')}"))
    return click.option(*spellings, name, show_default="default" in attributes, **attributes)
