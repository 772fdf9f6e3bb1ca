"""`python -m studio export --run RUN --format FORMAT --output PATH`."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from studio.cli import options
from studio.i18n import _
from studio.share.exports.formats import FORMATS
from studio.share.exports.parity import Parity

_POINTS = 100


_EPILOG = "\b\n" + "\n".join(f"{form.name:<18} {form.what_for}" for form in FORMATS.values())


@click.command("export", help=_("Write a run's model in a form that others open."), epilog=_EPILOG)
@click.option("--run", "named", required=True, help=_("A run's folder, its name, or its number."))
@click.option(
    "--format", "form", type=click.Choice(list(FORMATS)), required=True, help=_("What to write; see below.")
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help=_("A folder that is empty or new, or a .zip."),
)
@click.option("--name", help=_("What the model is called; the project's or folder's name without it."))
@options.as_json
def export(named: str, form: str, output: Path, name: str | None, as_json: bool) -> None:
    """Write the export, then say how near it is to the run's own model."""
    from studio.cli.runs import chosen_run
    from studio.cli.terminal import terminal_progress
    from studio.retrain.measure_confidence import measured
    from studio.settings import settings
    from studio.share.exports.export import check
    from studio.share.exports.export import export as write
    from studio.share.exports.format import Context

    output = output.expanduser().absolute()
    check(output)
    run = chosen_run(named)
    home = settings()
    threads = home.threads_used
    with terminal_progress() as progress:
        measured(run.run_dir, home.bottleneck_dir, threads=threads, progress=progress)
        context = Context(name or run.name, home.downloads_dir, progress, threads)
        done = write(run.run_dir, form, output, context)
    if as_json:
        told = {"format": form, "output": str(output), **asdict(done.parity)}
        click.echo(json.dumps({**told, "loses_much": done.parity.loses_much}, ensure_ascii=False))
        return
    click.echo(_line(done.parity))
    click.echo(_("The export is in {path}").format(path=output))
    if done.parity.loses_much and done.parity.lost is not None:
        lost = _("It loses {points} points of accuracy.").format(points=f"{done.parity.lost * _POINTS:.1f}")
        click.secho(lost, fg="red", err=True)


def _line(parity: Parity) -> str:
    if parity.agreement is None:
        return _("{size} MB; how near it is to the run's own model cannot be measured here.").format(
            size=f"{parity.size_bytes / 1e6:.1f}"
        )
    return _(
        "Agrees on {agreement} of {count} test images; largest difference {difference}; accuracy {before} "
        "before, {after} after; {size} MB; {ms} ms an image ({ms_before} before)"
    ).format(
        agreement=f"{parity.agreement:.1%}",
        count=f"{parity.n:,}",
        difference=f"{parity.largest_difference:.2g}",
        before=f"{parity.accuracy_before:.1%}",
        after=f"{parity.accuracy_after:.1%}",
        size=f"{parity.size_bytes / 1e6:.1f}",
        ms=f"{parity.ms:.1f}",
        ms_before=f"{parity.ms_before:.1f}",
    )
