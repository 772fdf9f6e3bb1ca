"""`python -m studio copies --project NAME --csv FILE`."""

from pathlib import Path

import click

from studio.language import _, counted


@click.command("copies", help=_("Write down which pictures of a project are the same, or nearly."))
@click.option("--project", "project_name", required=True, help=_("The project's name."))
@click.option(
    "--csv",
    "csv_path",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    required=True,
    help=_("The file to write a line for each copy into; - is standard output."),
)
def copies(project_name: str, csv_path: Path) -> None:
    """Look through the pictures where that is due, write the table, and count."""
    from studio.cli.studies import look, project_named
    from studio.cli.tables import write_table
    from studio.curate import listings
    from studio.data import open_database
    from studio.settings import settings

    database = open_database(settings())
    project = project_named(database, project_name)
    look(database, project, ("survey",))
    with database.read() as session:
        found = listings.copies(session, project.id)
    rows = [(*each[:5], "yes" if each.keeper else "no") for each in found]  # for programs: not translated
    write_table(csv_path, listings.Copy._fields, rows)
    said = _("{groups}, {pictures} in them").format(
        groups=counted("{count} group of copies", "{count} groups of copies", len({c.group for c in found})),
        pictures=counted("{count} place", "{count} places", len(found)),
    )
    click.echo(said, err=csv_path == Path("-"))
