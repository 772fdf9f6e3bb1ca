"""`python -m studio backbones [--measure] [NAME …]`: what there is, and how fast it is here."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from studio.i18n import _

if TYPE_CHECKING:  # imported by the command alone, when it is run
    from studio.backbones import Backbone


@click.command(help=_("List the pretrained networks, or those that are named, with what is known of each."))
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--measure",
    "measuring",
    is_flag=True,
    help=_("Measure how many images a second each takes here: those named, or all that need no download."),
)
@click.option("--json", "as_json", is_flag=True, help=_("Print a JSON list, for programs."))
@click.option("--markdown", "as_markdown", is_flag=True, help=_("Print docs/backbones.md."))
def backbones(names: tuple[str, ...], measuring: bool, as_json: bool, as_markdown: bool) -> None:
    """Print one line each."""
    from studio.backbones import BACKBONES, backbone_named
    from studio.backbones.document import document
    from studio.backbones.speed import measure, measured
    from studio.cli.terminal import terminal_progress
    from studio.settings import settings

    if as_markdown:
        click.echo(document(), nl=False)
        return
    chosen = [backbone_named(name) for name in names] or list(BACKBONES.values())
    if measuring:
        measurable = [backbone.name for backbone in chosen if names or backbone.installed]
        with terminal_progress() as progress:
            measure(measurable, settings().backbones_dir, threads=settings().threads_used, progress=progress)
    speeds = measured(settings().backbones_dir)
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
        "multiply_adds": backbone.facts.multiply_adds,
        "imagenet_top1_percent": backbone.facts.top1,
        "imagenet_top1_source": backbone.facts.top1_source,
        "licence": backbone.facts.licence,
        "weights": backbone.source.told,
        "installed": backbone.installed,
        "pictures_a_second": speeds.get(backbone.name),
    }


def _print_table(chosen: "Sequence[Backbone]", speeds: Mapping[str, float]) -> None:
    from studio.backbones.document import million

    rows = [
        (
            _("name"),
            _("px"),
            _("features"),
            _("MB"),
            _("M multiply-adds"),
            _("top-1"),
            _("pictures/s"),
            _("here"),
        )
    ]
    for backbone in chosen:
        top1 = backbone.facts.top1
        rows.append(
            (
                backbone.name,
                str(backbone.preprocessing.width_px),
                str(backbone.features),
                million(backbone.size_bytes),
                million(backbone.facts.multiply_adds),
                "" if top1 is None else f"{top1}%",
                f"{speeds[backbone.name]:.0f}" if backbone.name in speeds else "",
                _here(backbone),
            )
        )
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for name, *cells, here in rows:
        right = "  ".join(cell.rjust(width) for cell, width in zip(cells, widths[1:-1], strict=True))
        click.echo(f"{name.ljust(widths[0])}  {right}  {here}")


def _here(backbone: "Backbone") -> str:
    if backbone.installed:
        return _("yes")
    return _("download") if backbone.downloadable else backbone.source.told
