"""`python -m studio import PATH --project NAME`."""

from datetime import UTC, datetime
from pathlib import Path

import click

from studio.language import _


@click.command("import", help=_("Bring a folder or an archive of class folders into a project."))
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--project", "project_name", required=True, help=_("The project's name; made where missing."))
@click.option("--class", "class_name", help=_("The class of pictures that are in no class folder."))
def import_(path: Path, project_name: str, class_name: str | None) -> None:
    """Take the pictures at `path` into a project, say of each refused file why, and count at the end."""
    from studio.cli.terminal import terminal_progress
    from studio.collect.arrivals import path_offer
    from studio.collect.ingest import ingest
    from studio.collect.projects import create_project, find_project
    from studio.collect.store import PictureStore
    from studio.data import open_database
    from studio.settings import settings

    def clock() -> datetime:
        return datetime.now(UTC)

    database = open_database(settings())
    store = PictureStore(settings().pictures_dir)
    with terminal_progress() as progress:
        # Looked at before the project is made, so that a mistyped path leaves no empty project behind.
        offer = path_offer(path.expanduser(), class_name, progress=progress)
        with database.write() as session:
            project = find_project(session, project_name) or create_project(session, project_name, clock())
        report = ingest(
            database,
            store,
            project.id,
            offer.sources,
            total=offer.total,
            progress=progress,
            clock=clock,
            threads=settings().threads,
        )
    for refusal in report.refused:
        click.echo(refusal.reason, err=True)
    click.echo(
        _("added {added}, copies {copies}, refused {refused}").format(
            added=report.added, copies=report.copies, refused=len(report.refused)
        )
    )
