"""`python -m studio runs [--project NAME] [--json]`: the runs of a project, or of all."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from studio.cli.columns import columns
from studio.language import _, counted

if TYPE_CHECKING:  # imported by the command alone, when it is run
    from sqlalchemy.orm import Session

    from studio.collect.projects import Project
    from studio.retrain.runs.changes import Changes
    from studio.retrain.runs.project_runs import RunSummary


@click.command("runs", help=_("List runs with their settings and results, the newest first."))
@click.option("--project", "project_name", help=_("The project's name; all projects without one."))
@click.option("--json", "as_json", is_flag=True, help=_("Print one JSON array, for programs."))
def runs(project_name: str | None, as_json: bool) -> None:
    """Print a table, or one JSON array."""
    from studio.cli.studies import project_named
    from studio.collect.projects import list_projects
    from studio.data import open_database
    from studio.retrain.runs import project_runs
    from studio.settings import settings

    database = open_database(settings())
    with database.read() as session:
        chosen = list_projects(session) if project_name is None else [project_named(database, project_name)]
        found = [
            (project, run, _since(session, run))
            for project in chosen
            for run in project_runs.runs(session, project.id)
        ]
    if as_json:
        click.echo(json.dumps([_told(*each) for each in found], ensure_ascii=False))
        return
    if not found:
        click.echo(_("No runs yet."))
        return
    for line in columns([_heads(), *(_cells(*each) for each in found)]):
        click.echo(line)


def _since(session: "Session", run: "RunSummary") -> "Changes | None":
    """Return what changed in the pictures since the run before; None where there is none."""
    from studio.retrain.runs import project_runs, project_snapshots

    earlier = project_runs.previous(session, run.id)
    return None if earlier is None else project_snapshots.changes_between(session, earlier, run.id)


def _told(project: "Project", run: "RunSummary", since: "Changes | None") -> dict[str, Any]:
    evaluation = run.evaluation
    return {
        "run": run.id,
        "project": project.name,
        "name": run.name,
        "note": run.note,
        "state": run.job_state,
        "error": run.error,
        "created_at": run.created_at.isoformat(),
        "ended_at": None if run.ended_at is None else run.ended_at.isoformat(),
        "folder": run.folder,
        "rerun_of": run.rerun_of,
        "pictures": run.pictures,
        "options": run.options.to_json(),
        "accuracy": None if evaluation is None else evaluation.accuracy,
        "interval": None if evaluation is None else evaluation.interval,
        "tested": 0 if evaluation is None else evaluation.n,
        "without_copies": None
        if evaluation is None or evaluation.without_copies is None
        else asdict(evaluation.without_copies),
        "classes": [] if evaluation is None else [asdict(score) for score in evaluation.scores],
        "facts": dict(run.facts),
        "changes": None if since is None else _counts(since),
    }


def _counts(since: "Changes") -> dict[str, Any]:
    return {
        "added": len(since.added),
        "removed": len(since.removed),
        "relabelled": len(since.relabelled),
        "moved": len(since.moved),
        "classes": [asdict(each) for each in since.by_class],
    }


def _heads() -> list[str]:
    return [
        _("run"),
        _("project"),
        _("name"),
        _("state"),
        _("backbone"),
        _("steps"),
        _("rate"),
        _("pictures"),
        _("since the one before"),
        _("test accuracy"),
        _("95% of it"),
    ]


def _cells(project: "Project", run: "RunSummary", since: "Changes | None") -> list[str]:
    chosen, evaluation = run.options, run.evaluation
    accuracy = interval = ""
    if evaluation is not None and evaluation.accuracy is not None and evaluation.interval is not None:
        accuracy = f"{evaluation.accuracy:.1%} (N={evaluation.n:,})"
        interval = f"{evaluation.interval[0]:.1%}–{evaluation.interval[1]:.1%}"  # noqa: RUF001 - a range
    backbone = chosen.backbone + (f" {_('fine-tuned')}" if chosen.fine_tune else "")
    return [
        str(run.id),
        project.name,
        run.name,
        run.job_state or "",
        backbone,
        f"{chosen.how_many_training_steps:,}",
        f"{chosen.learning_rate:g}",
        f"{run.pictures:,}",
        _changed(since),
        accuracy,
        interval,
    ]


def _changed(since: "Changes | None") -> str:
    if since is None:
        return ""
    counts = (
        ("{count} added", "{count} added", len(since.added)),
        ("{count} removed", "{count} removed", len(since.removed)),
        ("{count} relabelled", "{count} relabelled", len(since.relabelled)),
        ("{count} moved", "{count} moved", len(since.moved)),
    )
    return ", ".join(counted(*each) for each in counts if each[2])
