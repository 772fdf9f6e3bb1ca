"""`python -m studio doubtful --project NAME --csv FILE`."""

from pathlib import Path

import click

from studio.language import _, counted


@click.command("doubtful", help=_("Write down a project's labels, those that are most likely wrong first."))
@click.option("--project", "project_name", required=True, help=_("The project's name."))
@click.option(
    "--csv",
    "csv_path",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    required=True,
    help=_("The file to write a line for each label into; - is standard output."),
)
@click.option("--limit", type=click.IntRange(min=1), help=_("How many to write at most."))
def doubtful(project_name: str, csv_path: Path, limit: int | None) -> None:
    """Look through pictures and labels where that is due, write the table, and count."""
    from studio.cli.studies import look, project_named
    from studio.cli.tables import write_table
    from studio.curate import listings
    from studio.curate.open_findings import DOUBTFUL_FROM
    from studio.data import open_database
    from studio.settings import settings

    database = open_database(settings())
    project = project_named(database, project_name)
    look(database, project, ("survey", "review"))
    with database.read() as session:
        found = listings.doubtful(session, project.id)
    shown = found[:limit]
    rows = [(each.name, each.sha256, each.label, each.suggested, round(each.score, 6)) for each in shown]
    write_table(csv_path, listings.Doubt._fields, rows)
    wrong = sum(each.score >= DOUBTFUL_FROM for each in found)
    said = _("{judged} judged, {wrong} likely wrong").format(
        judged=counted("{count} label", "{count} labels", len(found)), wrong=f"{wrong:,}"
    )
    click.echo(said, err=csv_path == Path("-"))
