"""`python -m studio sources --project NAME --csv FILE`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio.language import _, counted

if TYPE_CHECKING:  # imported by the command alone, when it is run
    from studio.collect.found import Counts


@click.command("sources", help=_("Write down every address and file that was offered to a project."))
@click.option("--project", "project_name", required=True, help=_("The project's name."))
@click.option(
    "--csv",
    "csv_path",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help=_("The file to write a line for each into; - is standard output."),
)
@click.option("--json", "as_json", is_flag=True, help=_("Print the counts as one JSON object, for programs."))
def sources(project_name: str, csv_path: Path | None, as_json: bool) -> None:
    """Write the table where one is asked for, and the counts last: beside it, if it has standard output."""
    from studio.atomic import atomic_text
    from studio.collect import found
    from studio.collect.projects import find_project
    from studio.data import open_database
    from studio.errors import ProjectError, SourceMissing
    from studio.settings import settings

    on_standard_output = csv_path == Path("-")
    database = open_database(settings())
    with database.read() as session:
        project = find_project(session, project_name)
        if project is None:
            raise ProjectError(
                _(
                    "expected the name of a project as Home shows it; there is none named {name} in {home}."
                ).format(name=project_name, home=settings().home)
            )
        if csv_path is not None and on_standard_output:
            # In UTF-8 like the file, whatever a console's own encoding is.
            with click.open_file("-", "w", encoding="utf-8") as file:
                found.sources_csv(session, project.id, file)
        elif csv_path is not None:
            try:
                with atomic_text(csv_path.expanduser()) as file:
                    found.sources_csv(session, project.id, file)
            except OSError as error:
                raise SourceMissing(
                    _("{path} cannot be written: {why}. Name another file.").format(
                        path=csv_path, why=error.strerror or error
                    )
                ) from error
        counts = found.counts(session, project.id)
    said = json.dumps({"total": counts.total, **asdict(counts)}, ensure_ascii=False)
    click.echo(said if as_json else _line(counts), err=on_standard_output)


def _line(counts: "Counts") -> str:
    said = _("{addresses}: {added} added, {copies} copies, {refused} refused").format(
        addresses=counted("{count} address", "{count} addresses", counts.total),
        added=f"{counts.added:,}",
        copies=f"{counts.copies:,}",
        refused=f"{counts.refused:,}",
    )
    return said + (_(", {count} pages read").format(count=f"{counts.pages:,}") if counts.pages else "")
