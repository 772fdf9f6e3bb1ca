"""`python -m studio doubtful --project NAME --csv FILE`."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import click

from db.engine import Database
from studio.datasets.projects import Project, find_project
from studio.errors import JobFailed, ProjectError
from studio.i18n import _, counted
from studio.jobs import queue
from studio.settings import settings


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
    """Look through images and labels where that is due, write the table, and count."""
    from studio.cli.terminal import write_table
    from studio.curate import reports
    from studio.curate.findings import DOUBTFUL_FROM
    from studio.data import open_database
    from studio.settings import settings

    database = open_database(settings())
    project = project_named(database, project_name)
    look(database, project, ("survey", "review"))
    with database.read() as session:
        found = reports.doubtful(session, project.id)
    shown = found[:limit]
    rows = [(each.name, each.sha256, each.label, each.suggested, round(each.score, 6)) for each in shown]
    write_table(csv_path, reports.Doubt._fields, rows)
    wrong = sum(each.score >= DOUBTFUL_FROM for each in found)
    said = _("{judged} judged, {wrong} likely wrong").format(
        judged=counted("{count} label", "{count} labels", len(found)), wrong=f"{wrong:,}"
    )
    click.echo(said, err=csv_path == Path("-"))


@click.command("copies", help=_("Write down which images of a project are the same, or nearly."))
@click.option("--project", "project_name", required=True, help=_("The project's name."))
@click.option(
    "--csv",
    "csv_path",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    required=True,
    help=_("The file to write a line for each copy into; - is standard output."),
)
def copies(project_name: str, csv_path: Path) -> None:
    """Look through the images where that is due, write the table, and count."""
    from studio.cli.terminal import write_table
    from studio.curate import reports
    from studio.data import open_database
    from studio.settings import settings

    database = open_database(settings())
    project = project_named(database, project_name)
    look(database, project, ("survey",))
    with database.read() as session:
        found = reports.copies(session, project.id)
    rows = [(*each[:5], "yes" if each.keeper else "no") for each in found]  # for programs: not translated
    write_table(csv_path, reports.Copy._fields, rows)
    said = _("{groups}, {images} in them").format(
        groups=counted("{count} group of copies", "{count} groups of copies", len({c.group for c in found})),
        images=counted("{count} place", "{count} places", len(found)),
    )
    click.echo(said, err=csv_path == Path("-"))


_LOOK_EVERY_S = 0.3
Look = Literal["survey", "review"]


def project_named(database: Database, name: str) -> Project:
    """Return the project of this name. Raises ProjectError where there is none, and makes none."""
    with database.read() as session:
        project = find_project(session, name)
    if project is None:
        raise ProjectError(
            _(
                "expected the name of a project as Home shows it; there is none named {name} in {home}."
            ).format(name=name, home=settings().home)
        )
    return project


def look(database: Database, project: Project, kinds: Sequence[Look]) -> None:
    """Do each look in this process, where it has not seen everything yet; wait for one that runs elsewhere.

    Raises what ended it, and JobFailed.
    """
    for kind in kinds:
        while _is_stale(database, project.id, kind):
            if _runs(database, project.id, kind):
                time.sleep(_LOOK_EVERY_S)
            elif _did(database, project, kind):
                break


def _did(database: Database, project: Project, kind: Look) -> bool:
    """Do a look to its end; False where a worker was quicker to begin it."""
    from studio.cli.run_job import run_here

    try:
        run_here(kind, {}, project.name)
    except JobFailed:
        if _runs(database, project.id, kind):
            return False
        raise
    return True


def _runs(database: Database, project_id: int, kind: Look) -> bool:
    # One that only stands in the queue is taken from there.
    with database.read() as session:
        return any(job.state == "running" for job in queue.live(session, project_id, {kind}))


def _is_stale(database: Database, project_id: int, kind: Look) -> bool:
    from db.labelling import newest_number
    from studio.curate.findings import last_study

    with database.read() as session:
        last = last_study(session, project_id, kind)
        survey = last_study(session, project_id, "survey")
        if last is None or last.operation_number < newest_number(session, project_id):
            return True
        return survey is not None and survey.at > last.at


_FORMATS = ("folders", "csv", "coco", "hf", "tfrecord")


@click.command(
    "export-data", help=_("Write a project's images and labels in a format that others read, and import.")
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
    """Write the export, name each image that is lost, and count at the end."""
    from studio.cli.run_job import run_here
    from studio.data import open_database
    from studio.datasets.export import check
    from studio.datasets.projects import find_project
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
    click.echo(_summary_line(done, output))


def _summary_line(done: Mapping[str, Any], output: Path) -> str:
    said = _("{images} ({labelled} labelled, {unlabelled} unlabelled, {rejected} rejected) in {path}").format(
        images=counted("{count} image", "{count} images", done["pictures"]),
        labelled=f"{done['labelled']:,}",
        unlabelled=f"{done['unlabelled']:,}",
        rejected=f"{done['rejected']:,}",
        path=output,
    )
    lost = done["lost_count"]
    return said + (counted("; {count} file lost", "; {count} files lost", lost) if lost else "")
