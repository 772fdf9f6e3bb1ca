"""`python -m studio backbones`: list the backbones and measure their speed."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from studio.i18n import _

if TYPE_CHECKING:  # imported by the command alone, when it is run
    from studio.backbones import Backbone


@click.command(help=_("List the backbones (pretrained networks), all or the named ones."))
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--measure",
    "measuring",
    is_flag=True,
    help=_("Measure images per second on this machine: of the named ones, or of all that are installed."),
)
@click.option("--json", "as_json", is_flag=True, help=_("Print a JSON array."))
@click.option("--markdown", "as_markdown", is_flag=True, help=_("Print docs/backbones.md."))
def backbones(names: tuple[str, ...], measuring: bool, as_json: bool, as_markdown: bool) -> None:
    """Print one line per backbone."""
    from studio.backbones import BACKBONES, get_backbone
    from studio.backbones.document import backbones_markdown
    from studio.backbones.speed import measure_speeds, read_speeds
    from studio.cli.terminal import terminal_progress
    from studio.settings import settings

    if as_markdown:
        click.echo(backbones_markdown(), nl=False)
        return
    chosen = [get_backbone(name) for name in names] or list(BACKBONES.values())
    if measuring:
        measurable = [backbone.name for backbone in chosen if names or backbone.installed]
        with terminal_progress() as progress:
            measure_speeds(
                measurable, settings().backbones_dir, threads=settings().threads_used, progress=progress
            )
    speeds = read_speeds(settings().backbones_dir)
    if as_json:
        click.echo(
            json.dumps([_facts(backbone, speeds) for backbone in chosen], ensure_ascii=False, indent=1)
        )
    else:
        _print_table(chosen, speeds)


def _facts(backbone: "Backbone", speeds: Mapping[str, float]) -> dict[str, Any]:
    return {
        "name": backbone.name,
        "title": backbone.title,
        "size_px": backbone.preprocessing.width_px,
        "features": backbone.features,
        "size_bytes": backbone.size_bytes,
        "multiply_adds": backbone.info.multiply_adds,
        "imagenet_top1_percent": backbone.info.top1,
        "imagenet_top1_source": backbone.info.top1_source,
        "licence": backbone.info.licence,
        "weights": backbone.source.description,
        "installed": backbone.installed,
        "pictures_a_second": speeds.get(backbone.name),
    }


def _print_table(chosen: "Sequence[Backbone]", speeds: Mapping[str, float]) -> None:
    from studio.backbones.document import format_millions

    rows = [
        (
            _("name"),
            _("px"),
            _("features"),
            _("MB"),
            _("M multiply-adds"),
            _("top-1"),
            _("images/s"),
            _("installed"),
        )
    ]
    for backbone in chosen:
        top1 = backbone.info.top1
        rows.append(
            (
                backbone.name,
                str(backbone.preprocessing.width_px),
                str(backbone.features),
                format_millions(backbone.size_bytes),
                format_millions(backbone.info.multiply_adds),
                "" if top1 is None else f"{top1}%",
                f"{speeds[backbone.name]:.0f}" if backbone.name in speeds else "",
                _installed(backbone),
            )
        )
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for name, *cells, installed in rows:
        right = "  ".join(cell.rjust(width) for cell, width in zip(cells, widths[1:-1], strict=True))
        click.echo(f"{name.ljust(widths[0])}  {right}  {installed}")


def _installed(backbone: "Backbone") -> str:
    if backbone.installed:
        return _("yes")
    return _("download") if backbone.can_download else backbone.source.description
