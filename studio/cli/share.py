"""`python -m studio export`: write a run's model in an export format."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from studio.cli import options
from studio.i18n import _
from studio.share.exports.formats import EXPORT_FORMATS
from studio.share.exports.parity import Parity

_POINTS = 100


_EPILOG = "\b\n" + "\n".join(
    f"{format_name.name:<18} {format_name.purpose}" for format_name in EXPORT_FORMATS.values()
)


@click.command("export", help=_("Export the model of a run."), epilog=_EPILOG)
@click.option("--run", "run_name", required=True, help=_("A run: folder, name or number."))
@click.option(
    "--format",
    "format_name",
    type=click.Choice(list(EXPORT_FORMATS)),
    required=True,
    help=_("Export format; see below."),
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help=_("An empty or new folder, or a .zip file."),
)
@click.option("--name", help=_("Name of the model (default: that of the project or folder)."))
@options.as_json
def export(run_name: str, format_name: str, output: Path, name: str | None, as_json: bool) -> None:
    """Write the export and print its parity with the run's own model."""
    from studio.cli.runs import find_run
    from studio.cli.terminal import terminal_progress
    from studio.retrain.measure_confidence import measure_confidence
    from studio.settings import settings
    from studio.share.exports.export import check_output
    from studio.share.exports.export import export_run as write
    from studio.share.exports.export_format import ExportContext

    output = output.expanduser().absolute()
    check_output(output)
    run = find_run(run_name)
    home = settings()
    threads = home.threads_used
    with terminal_progress() as progress:
        measure_confidence(run.run_dir, home.bottleneck_dir, threads=threads, progress=progress)
        context = ExportContext(name or run.name, home.downloads_dir, progress, threads)
        done = write(run.run_dir, format_name, output, context)
    if as_json:
        values = {"format": format_name, "output": str(output), **asdict(done.parity)}
        click.echo(json.dumps({**values, "loses_much": done.parity.loses_accuracy}, ensure_ascii=False))
        return
    click.echo(_parity_line(done.parity))
    click.echo(_("The export is in {path}").format(path=output))
    if done.parity.loses_accuracy and done.parity.accuracy_loss is not None:
        lost = _("It loses {points} points of accuracy.").format(
            points=f"{done.parity.accuracy_loss * _POINTS:.1f}"
        )
        click.secho(lost, fg="red", err=True)


def _parity_line(parity: Parity) -> str:
    if parity.agreement is None:
        return _("{size} MB; the parity with the run's own model cannot be measured here.").format(
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
