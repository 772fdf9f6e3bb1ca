"""`python -m studio runs` and `rerun`: list runs, and repeat one; find a run by folder, name or number."""

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
    from studio.retrain.runs.compare import RerunComparison, RunOutcome, SnapshotChanges
    from studio.retrain.runs.run_records import RunSummary


@click.command("runs", help=_("List runs with their settings and results, newest first."))
@click.option("--project", "project_name", help=_("Name of the project (default: all projects)."))
@click.option("--json", "as_json", is_flag=True, help=_("Print one JSON array, for programs."))
def runs(project_name: str | None, as_json: bool) -> None:
    """Print a table, or a JSON array."""
    from studio.cli.curate import project_named
    from studio.data import open_database
    from studio.datasets.projects import list_projects
    from studio.retrain.runs import run_records
    from studio.settings import settings

    database = open_database(settings())
    with database.read() as session:
        chosen = list_projects(session) if project_name is None else [project_named(database, project_name)]
        found = [
            (project, run, _changes(session, run))
            for project in chosen
            for run in run_records.list_runs(session, project.id)
        ]
    if as_json:
        click.echo(json.dumps([_as_json(*each) for each in found], ensure_ascii=False))
        return
    if not found:
        click.echo(_("No runs yet."))
        return
    for line in columns([_headings(), *(_cells(*each) for each in found)]):
        click.echo(line)


def _changes(session: "Session", run: "RunSummary") -> "SnapshotChanges | None":
    """Return the changes of the images since the previous run; None for the first run."""
    from studio.retrain.runs import run_records, snapshot_records

    earlier = run_records.previous_run_id(session, run.id)
    return None if earlier is None else snapshot_records.compare_snapshots(session, earlier, run.id)


def _as_json(project: "Project", run: "RunSummary", since: "SnapshotChanges | None") -> dict[str, Any]:
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
        if evaluation is None or evaluation.without_leakage is None
        else asdict(evaluation.without_leakage),
        "classes": [] if evaluation is None else [asdict(score) for score in evaluation.scores],
        "facts": dict(run.facts),
        "changes": None if since is None else _counts(since),
    }


def _counts(since: "SnapshotChanges") -> dict[str, Any]:
    return {
        "added": len(since.added),
        "removed": len(since.removed),
        "relabelled": len(since.relabelled),
        "moved": len(since.split_changed),
        "classes": [each.to_json() for each in since.by_class],
    }


def _headings() -> list[str]:
    return [
        _("run"),
        _("project"),
        _("name"),
        _("state"),
        _("backbone"),
        _("steps"),
        _("learning rate"),
        _("images"),
        _("changes"),
        _("test accuracy"),
        _("95% CI"),
    ]


def _cells(project: "Project", run: "RunSummary", since: "SnapshotChanges | None") -> list[str]:
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


def _changed(since: "SnapshotChanges | None") -> str:
    if since is None:
        return ""
    counts = (
        ("{count} added", "{count} added", len(since.added)),
        ("{count} removed", "{count} removed", len(since.removed)),
        ("{count} relabelled", "{count} relabelled", len(since.relabelled)),
        ("{count} moved", "{count} moved", len(since.split_changed)),
    )
    return ", ".join(counted(*each) for each in counts if each[2])


@click.command(
    "rerun", help=_("Repeat a run and report whether its results are the same; exit code 1 if not.")
)
@click.argument("run")
@click.option(
    "--run_dir",
    "--run-dir",
    "run_dir",
    type=click.Path(file_okay=False, path_type=Path),
    help=_("For a run folder: the folder of the new run."),
)
@click.pass_context
def rerun(context: click.Context, run: str, run_dir: Path | None) -> None:
    """Repeat the run with this number or folder, with the same images, labels, splits and options."""
    from studio.retrain.runs.compare import RerunComparison

    if run.isdecimal() and not Path(run).is_dir():
        if run_dir is not None:
            raise click.UsageError(
                _("--run_dir is for run folders: the runs of a project have folders of their own.")
            )
        before, after, where = _repeat_in_project(int(run))
    else:
        before, after, where = _repeat_in_folder(Path(run).expanduser(), run_dir)
    found = RerunComparison.of(before, after)
    click.echo(_("The run is in {run_dir}").format(run_dir=where))
    for line in _lines(found):
        click.echo(line)
    click.echo(_summary(found, after))
    if not found.same:
        context.exit(1)


def _repeat_in_project(run_id: int) -> tuple["RunOutcome", "RunOutcome", Path]:
    from studio.cli.run_job import follow
    from studio.data import open_database
    from studio.errors import ProjectError
    from studio.retrain import tasks
    from studio.retrain.runs import run_records
    from studio.settings import settings

    database = open_database(settings())
    with database.read() as session:
        before = run_records.run_outcome(session, run_id)
    if before is None:
        raise ProjectError(
            _("expected a finished run; run {id} has not finished. Wait for it, or choose another.").format(
                id=run_id
            )
        )
    new_id = tasks.enqueue_rerun(database, run_id, datetime.now(UTC))
    with database.read() as session:
        again = run_records.get_run(session, new_id)
    assert again.job_id is not None  # noqa: S101 - given in the same transaction as the run
    follow(database, again.job_id)
    with database.read() as session:
        after = run_records.run_outcome(session, new_id)
    assert after is not None  # noqa: S101 - `follow` raises if it failed
    return before, after, settings().runs_dir / again.folder


def _repeat_in_folder(folder: Path, run_dir: Path | None) -> tuple["RunOutcome", "RunOutcome", Path]:
    from studio.cli.terminal import terminal_progress
    from studio.errors import SourceMissing
    from studio.retrain.run import read_run, retrain
    from studio.retrain.runs.compare import RunOutcome, rerun_options
    from studio.retrain.train_head import RunContext
    from studio.settings import settings

    earlier = read_run(folder)
    missing = [example.path for example in earlier.snapshot.examples if not example.path.is_file()]
    if missing:
        raise SourceMissing(
            _(
                "expected the images of the run in their places; {count} of {all} are missing, such as "
                "{path}. Restore them and try again."
            ).format(count=len(missing), all=len(earlier.snapshot.examples), path=missing[0])
        )
    if run_dir is None:
        run_dir = settings().runs_dir / f"{folder.resolve().name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    with terminal_progress() as progress:
        retrain(
            earlier.snapshot,
            rerun_options(earlier.options, earlier.facts),
            RunContext(
                run_dir,
                settings().bottleneck_dir,
                settings().backbones_dir,
                settings().threads_used,
                progress,
            ),
        )
    return RunOutcome.of_folder(folder), RunOutcome.of_folder(run_dir), run_dir


def _lines(found: "RerunComparison") -> list[str]:
    lines = [_("Different: {difference}").format(difference=difference) for difference in found.differences]
    none = _("none")
    lines += [
        _("Version changed: {name}, {before} before, {after} now").format(
            name=version.name, before=version.before or none, after=version.after or none
        )
        for version in found.version_changes
    ]
    return lines


def _summary(found: "RerunComparison", after: "RunOutcome") -> str:
    evaluation = after.evaluation
    accuracy = "" if evaluation.accuracy is None else f": {evaluation.accuracy:.1%} (N={evaluation.n})"
    if not found.same:
        return _("The results differ{accuracy}").format(accuracy=accuracy)
    if found.same_model_file:
        return _("The same results, and the same model byte for byte{accuracy}").format(accuracy=accuracy)
    return _("The same results; the model file differs{accuracy}").format(accuracy=accuracy)


@dataclass(frozen=True)
class ChosenRun:
    """A run folder, and the name of its model."""

    run_dir: Path
    name: str


def find_run(named: str) -> ChosenRun:
    """Return the run with this folder, folder name or number (as `runs` prints them).

    Raises ModelUnreadable if there is none.
    """
    from studio.settings import settings

    folder = Path(named).expanduser()
    if not folder.is_dir():
        folder = settings().runs_dir / named
    if folder.is_dir():
        return ChosenRun(folder, folder.absolute().name)
    if named.isdecimal() and (found := _run_number(int(named))) is not None:
        return found
    raise ModelUnreadable(
        _(
            "expected a run folder, the name of one in {runs}, or a number that `runs` prints; there is no "
            "{named}."
        ).format(runs=settings().runs_dir, named=named)
    )


def _run_number(run_id: int) -> ChosenRun | None:
    from studio.data import open_database
    from studio.datasets.projects import project_of
    from studio.retrain.runs import run_records
    from studio.settings import settings
    from studio.share.tasks import model_name

    database = open_database(settings())
    try:
        with database.read() as session:
            run = run_records.get_run(session, run_id)
            name = model_name(project_of(session, run.project_id).name, run.name)
    except ProjectError:
        return None
    finally:
        database.close()
    return ChosenRun(settings().runs_dir / run.folder, name)
