"""What a way in has brought, as its command's last line."""

import json
from collections.abc import Mapping
from typing import Any

import click

from studio.collect.why import title
from studio.language import _


def show_counts(result: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one line of counts, or one JSON object; kinds of refusals go to standard error."""
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False))
        return
    for why, count in result["why"].items():
        click.echo(f"{count:>6,}  {title(why)}", err=True)
    click.echo(
        _("added {added}, copies {copies}, refused {refused}").format(
            added=result["added"], copies=result["copies"], refused=result["refused_count"]
        )
    )
