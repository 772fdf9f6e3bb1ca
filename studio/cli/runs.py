"""`python -m studio runs [--project NAME] [--json]`: the runs of a project, or of all."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio.cli.terminal import columns
from studio.errors import ModelUnreadable, ProjectError
from studio.i18n import _, counted

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from studio.datasets.projects import Project
    from studio.retrain.runs.compare import Changes, Outcome, Repetition
    from studio.retrain.runs.run_records import RunSummary


@click.command("runs", help=_("List runs with their settings and results, the newest first."))
@click.option("--project", "project_name", help=_("The project's name; all projects without one."))
@click.option("--json", "as_json", is_flag=True, help=_("Print one JSON array, for programs."))
def runs(project_name: str | None, as_json: bool) -> None:
    """Print a table, or one JSON array."""
    from studio.cli.curate import project_named
    from studio.data import open_database
    from studio.datasets.projects import list_projects
    from studio.retrain.runs import run_records
    from studio.settings import settings

    database = open_database(settings())
    with database.read() as session:
        chosen = list_projects(session) if project_name is None else [project_named(database, project_name)]
        found = [
            (project, run, _since(session, run))
            for project in chosen
            for run in run_records.runs(session, project.id)
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
    """Return what changed in the images since the run before; None where there is none."""
    from studio.retrain.runs import run_records, snapshot_records

    earlier = run_records.previous(session, run.id)
    return None if earlier is None else snapshot_records.changes_between(session, earlier, run.id)


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
        "pictures": run.images,
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
        _("images"),
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
        f"{run.images:,}",
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


@click.command(
    "rerun", help=_("Do a run again and say whether its numbers are the same; ends with 1 if not.")
)
@click.argument("run")
@click.option(
    "--run_dir",
    "--run-dir",
    "run_dir",
    type=click.Path(file_okay=False, path_type=Path),
    help=_("Of a folder: where the new run goes."),
)
@click.pass_context
def rerun(context: click.Context, run: str, run_dir: Path | None) -> None:
    """Take a run's number or its folder; the images must be where they were."""
    from studio.retrain.runs.compare import Repetition

    if run.isdecimal() and not Path(run).is_dir():
        if run_dir is not None:
            raise click.UsageError(_("--run_dir is for a folder: a project's runs have their own."))
        before, after, where = _of_project(int(run))
    else:
        before, after, where = _of_folder(Path(run).expanduser(), run_dir)
    found = Repetition.of(before, after)
    click.echo(_("The run is in {run_dir}").format(run_dir=where))
    for line in _lines(found):
        click.echo(line)
    click.echo(_verdict(found, after))
    if not found.same:
        context.exit(1)


def _of_project(run_id: int) -> tuple["Outcome", "Outcome", Path]:
    from studio.cli.run_job import follow
    from studio.data import open_database
    from studio.errors import ProjectError
    from studio.retrain import tasks
    from studio.retrain.runs import run_records
    from studio.settings import settings

    database = open_database(settings())
    with database.read() as session:
        before = run_records.outcome(session, run_id)
    if before is None:
        raise ProjectError(
            _("expected a run that has ended well; number {id} has not. Let it end, or name another.").format(
                id=run_id
            )
        )
    new_id = tasks.rerun(database, run_id, datetime.now(UTC))
    with database.read() as session:
        again = run_records.run(session, new_id)
    assert again.job_id is not None  # noqa: S101 - given in the same transaction as the run
    follow(database, again.job_id)
    with database.read() as session:
        after = run_records.outcome(session, new_id)
    assert after is not None  # noqa: S101 - `follow` raises where it did not end well
    return before, after, settings().runs_dir / again.folder


def _of_folder(folder: Path, run_dir: Path | None) -> tuple["Outcome", "Outcome", Path]:
    from studio.cli.terminal import terminal_progress
    from studio.errors import SourceMissing
    from studio.retrain.run import read_run, retrain
    from studio.retrain.runs.compare import Outcome, options_to_repeat
    from studio.settings import settings

    earlier = read_run(folder)
    missing = [example.path for example in earlier.snapshot.examples if not example.path.is_file()]
    if missing:
        raise SourceMissing(
            _(
                "expected the images where they were; {count} of {all} are not, such as {path}. Bring them "
                "back, and ask again."
            ).format(count=len(missing), all=len(earlier.snapshot.examples), path=missing[0])
        )
    if run_dir is None:
        run_dir = settings().runs_dir / f"{folder.resolve().name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    with terminal_progress() as progress:
        retrain(
            earlier.snapshot,
            options_to_repeat(earlier.options, earlier.facts),
            run_dir=run_dir,
            bottleneck_dir=settings().bottleneck_dir,
            backbones_dir=settings().backbones_dir,
            threads=settings().threads_used,
            progress=progress,
            on_points=lambda _points: None,
        )
    return Outcome.of_folder(folder), Outcome.of_folder(run_dir), run_dir


def _lines(found: "Repetition") -> list[str]:
    lines = [_("Another: {difference}").format(difference=difference) for difference in found.differences]
    none = _("none")
    lines += [
        _("Other now: {name}, {before} before, {after} now").format(
            name=version.name, before=version.before or none, after=version.after or none
        )
        for version in found.versions
    ]
    return lines


def _verdict(found: "Repetition", after: "Outcome") -> str:
    evaluation = after.evaluation
    accuracy = "" if evaluation.accuracy is None else f": {evaluation.accuracy:.1%} (N={evaluation.n})"
    if not found.same:
        return _("The numbers are not the same{accuracy}").format(accuracy=accuracy)
    if found.same_file:
        return _("The same numbers, and the same model byte for byte{accuracy}").format(accuracy=accuracy)
    return _("The same numbers; the model file differs in bytes{accuracy}").format(accuracy=accuracy)


@dataclass(frozen=True)
class ChosenRun:
    """A run's folder, and what its model is called."""

    run_dir: Path
    name: str


def chosen_run(named: str) -> ChosenRun:
    """Return the run that is meant: a folder, or a folder's name or a number as `runs` prints them.

    Raises ModelUnreadable where there is none.
    """
    from studio.settings import settings

    folder = Path(named).expanduser()
    if not folder.is_dir():
        folder = settings().runs_dir / named
    if folder.is_dir():
        return ChosenRun(folder, folder.absolute().name)
    if named.isdecimal() and (found := _numbered(int(named))) is not None:
        return found
    raise ModelUnreadable(
        _(
            "expected a run's folder, the name of one in {runs}, or a number that `runs` prints; there is no "
            "{named}."
        ).format(runs=settings().runs_dir, named=named)
    )


def _numbered(run_id: int) -> ChosenRun | None:
    from studio.data import open_database
    from studio.datasets.projects import project_of
    from studio.retrain.runs import run_records
    from studio.settings import settings
    from studio.share.tasks import model_name

    database = open_database(settings())
    try:
        with database.read() as session:
            run = run_records.run(session, run_id)
            name = model_name(project_of(session, run.project_id).name, run.name)
    except ProjectError:
        return None
    finally:
        database.close()
    return ChosenRun(settings().runs_dir / run.folder, name)
