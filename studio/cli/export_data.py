"""`python -m studio export-data --project NAME --format FORMAT --output PATH`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from studio.language import _, counted

_FORMATS = ("folders", "csv", "coco", "hf", "tfrecord")


@click.command(
    "export-data", help=_("Write a project's pictures and labels in a format that others read, and import.")
)
@click.option("--project", "project_name", required=True, help=_("The project's name."))
@click.option("--format", "kind", type=click.Choice(_FORMATS), required=True, help=_("What to write."))
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help=_("A .zip, a .tar, or a folder; with csv also a .csv, which is the table alone."),
)
@click.option("--json", "as_json", is_flag=True, help=_("Print one JSON object, for programs."))
def export_data(project_name: str, kind: str, output: Path, as_json: bool) -> None:
    """Write the export, name each picture that is lost, and count at the end."""
    from studio.cli.here import run_here
    from studio.collect.projects import find_project
    from studio.curate.export.export import check
    from studio.data import open_database
    from studio.errors import ProjectError
    from studio.settings import settings

    output = output.expanduser().absolute()
    check(kind, output)
    # Looked at before the job is made, which would make a project of a mistyped name.
    database = open_database(settings())
    with database.read() as session:
        project = find_project(session, project_name)
    database.close()
    if project is None:
        raise ProjectError(
            _(
                "expected the name of a project as Home shows it; there is none named {name} in {home}."
            ).format(name=project_name, home=settings().home)
        )
    done = run_here("export_data", {"format": kind, "output": str(output)}, project.name)
    if as_json:
        click.echo(json.dumps(done, ensure_ascii=False))
        return
    for lost in done["lost"]:
        click.echo(_("{name}: {reason} ({sha256})").format(**lost), err=True)
    click.echo(_line(done, output))


def _line(done: Mapping[str, Any], output: Path) -> str:
    said = _(
        "{pictures} ({labelled} labelled, {unlabelled} unlabelled, {rejected} rejected) in {path}"
    ).format(
        pictures=counted("{count} picture", "{count} pictures", done["pictures"]),
        labelled=f"{done['labelled']:,}",
        unlabelled=f"{done['unlabelled']:,}",
        rejected=f"{done['rejected']:,}",
        path=output,
    )
    lost = done["lost_count"]
    return said + (counted("; {count} file lost", "; {count} files lost", lost) if lost else "")
