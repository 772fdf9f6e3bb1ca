"""Options that several commands share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from studio.i18n import _

_Command = TypeVar("_Command", bound=Callable[..., Any])
project = click.option(
    "--project", "project_name", required=True, help=_("Name of the project; it is created if missing.")
)
class_ = click.option(
    "--class", "class_name", help=_("Class for images without one of their own (default: unlabelled).")
)
allow_host = click.option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    help=_("A host in a private network to allow; repeatable."),
)
as_json = click.option("--json", "as_json", is_flag=True, help=_("Print a JSON object."))


def min_size(default: int) -> Callable[[_Command], _Command]:
    """Return the option --min-size with a default."""
    return click.option(
        "--min-size",
        type=click.IntRange(min=0),
        default=default,
        show_default=True,
        help=_("For images from the web: skip those with a side shorter than this, in pixels."),
    )


def flag(name: str, **attributes: Any) -> Callable[[_Command], _Command]:
    """Add an option that can be written --like_this and --like-this; its help shows the default."""
    spellings = dict.fromkeys((f"--{name}", f"--{name.replace('_', '-')}"))
    return click.option(*spellings, name, show_default="default" in attributes, **attributes)
