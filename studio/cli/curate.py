"""`python -m studio doubtful`, `copies` and `export-data`: label issues, duplicates, exported datasets."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import click

from db.engine import Database
from studio.datasets.formats import EXPORT_FORMATS
from studio.datasets.projects import Project, find_project
from studio.errors import JobFailed, ProjectError
from studio.i18n import _, counted
from studio.jobs import queue
from studio.settings import settings


@click.command("doubtful", help=_("List the labels of a project, most likely wrong ones first."))
@click.option("--project", "project_name", required=True, help=_("Name of the project."))
@click.option(
    "--csv",
    "csv_path",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    required=True,
    help=_("Write the list to this CSV file; -: standard output."),
)
@click.option("--limit", type=click.IntRange(min=1), help=_("Maximum number of labels."))
def doubtful(project_name: str, csv_path: Path, limit: int | None) -> None:
    """Analyse images and labels if they have changed, write the list, and print counts."""
    from studio.cli.terminal import write_table
    from studio.curate import reports
    from studio.curate.analysis_results import LABEL_ISSUE_THRESHOLD
    from studio.data import open_database
    from studio.settings import settings

    database = open_database(settings())
    project = project_named(database, project_name)
    analyse(database, project, ("survey", "review"))
    with database.read() as session:
        found = reports.report_label_issues(session, project.id)
    shown = found[:limit]
    rows = [(each.name, each.sha256, each.label, each.suggested, round(each.score, 6)) for each in shown]
    write_table(csv_path, reports.ReportedLabelIssue._fields, rows)
    wrong = sum(each.score >= LABEL_ISSUE_THRESHOLD for each in found)
    summary = _("{judged} checked, {wrong} likely wrong").format(
        judged=counted("{count} label", "{count} labels", len(found)), wrong=f"{wrong:,}"
    )
    click.echo(summary, err=csv_path == Path("-"))


@click.command("copies", help=_("List the duplicates and near-duplicates of a project."))
@click.option("--project", "project_name", required=True, help=_("Name of the project."))
@click.option(
    "--csv",
    "csv_path",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    required=True,
    help=_("Write the list to this CSV file; -: standard output."),
)
def copies(project_name: str, csv_path: Path) -> None:
    """Analyse the images if they have changed, write the list, and print counts."""
    from studio.cli.terminal import write_table
    from studio.curate import reports
    from studio.data import open_database
    from studio.settings import settings

    database = open_database(settings())
    project = project_named(database, project_name)
    analyse(database, project, ("survey",))
    with database.read() as session:
        found = reports.report_duplicates(session, project.id)
    rows = [(*each[:5], "yes" if each.keeper else "no") for each in found]  # for programs: not translated
    write_table(csv_path, reports.ReportedDuplicate._fields, rows)
    summary = _("{groups}, {images}").format(
        groups=counted("{count} duplicate group", "{count} duplicate groups", len({c.group for c in found})),
        images=counted("{count} row", "{count} rows", len(found)),
    )
    click.echo(summary, err=csv_path == Path("-"))


_POLL_S = 0.3
AnalysisKind = Literal["survey", "review"]
"""Kinds of job: the analysis of the images, and that of the labels."""


def project_named(database: Database, name: str) -> Project:
    """Return the project of this name. Raises ProjectError if there is none."""
    with database.read() as session:
        project = find_project(session, name)
    if project is None:
        raise ProjectError(
            _(
                "expected the name of a project as Home shows it; there is none named {name} in {home}."
            ).format(name=name, home=settings().home)
        )
    return project


def analyse(database: Database, project: Project, kinds: Sequence[AnalysisKind]) -> None:
    """Run each analysis that is out of date in this process; wait for one that runs elsewhere.

    Raises the error that ended it, and JobFailed.
    """
    for kind in kinds:
        while _is_stale(database, project.id, kind):
            if _is_running(database, project.id, kind):
                time.sleep(_POLL_S)
            elif _run(database, project, kind):
                break


def _run(database: Database, project: Project, kind: AnalysisKind) -> bool:
    """Run an analysis; return False if a worker began it first."""
    from studio.cli.run_job import run_here

    try:
        run_here(kind, {}, project.name)
    except JobFailed:
        if _is_running(database, project.id, kind):
            return False
        raise
    return True


def _is_running(database: Database, project_id: int, kind: AnalysisKind) -> bool:
    # A queued one is run here.
    with database.read() as session:
        return any(job.state == "running" for job in queue.live(session, project_id, {kind}))


def _is_stale(database: Database, project_id: int, kind: AnalysisKind) -> bool:
    from db.labelling import latest_operation_number
    from studio.curate.analysis_results import last_analysis

    with database.read() as session:
        last = last_analysis(session, project_id, kind)
        images = last_analysis(session, project_id, "survey")
        if last is None or last.operation_number < latest_operation_number(session, project_id):
            return True
        return images is not None and images.at > last.at


@click.command("export-data", help=_("Export the images and labels of a project as a dataset."))
@click.option("--project", "project_name", required=True, help=_("Name of the project."))
@click.option(
    "--format", "kind", type=click.Choice(tuple(EXPORT_FORMATS)), required=True, help=_("Dataset format.")
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help=_("A .zip or .tar file, or a folder; with csv also a .csv file: the table alone."),
)
@click.option("--json", "as_json", is_flag=True, help=_("Print one JSON object, for programs."))
def export_data(project_name: str, kind: str, output: Path, as_json: bool) -> None:
    """Write the export, report each lost image file, and print counts."""
    from studio.cli.run_job import run_here
    from studio.data import open_database
    from studio.datasets.export import check
    from studio.datasets.projects import find_project
    from studio.errors import ProjectError
    from studio.settings import settings

    output = output.expanduser().absolute()
    check(kind, output)
    # Checked before the job is made, which would create a project for a mistyped name.
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
    line = _("{images} ({labelled} labelled, {unlabelled} unlabelled, {rejected} rejected) in {path}").format(
        images=counted("{count} image", "{count} images", done["pictures"]),
        labelled=f"{done['labelled']:,}",
        unlabelled=f"{done['unlabelled']:,}",
        rejected=f"{done['rejected']:,}",
        path=output,
    )
    lost = done["lost_count"]
    return line + (counted("; {count} file lost", "; {count} files lost", lost) if lost else "")
