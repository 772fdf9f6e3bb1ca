"""`python -m studio rerun RUN`: a run done again, and whether it came to the same."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio.language import _

if TYPE_CHECKING:  # imported by the command alone, when it is run
    from studio.retrain.runs.repetition import Outcome, Repetition


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
    """Take a run's number or its folder; the pictures must be where they were."""
    from studio.retrain.runs.repetition import Repetition

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
    from studio.cli.here import follow
    from studio.data import open_database
    from studio.errors import ProjectError
    from studio.jobs import requests
    from studio.retrain.runs import project_runs
    from studio.settings import settings

    database = open_database(settings())
    with database.read() as session:
        before = project_runs.outcome(session, run_id)
    if before is None:
        raise ProjectError(
            _("expected a run that has ended well; number {id} has not. Let it end, or name another.").format(
                id=run_id
            )
        )
    new_id = requests.rerun(database, run_id, datetime.now(UTC))
    with database.read() as session:
        again = project_runs.run(session, new_id)
    assert again.job_id is not None  # noqa: S101 - given in the same transaction as the run
    follow(database, again.job_id)
    with database.read() as session:
        after = project_runs.outcome(session, new_id)
    assert after is not None  # noqa: S101 - `follow` raises where it did not end well
    return before, after, settings().runs_dir / again.folder


def _of_folder(folder: Path, run_dir: Path | None) -> tuple["Outcome", "Outcome", Path]:
    from studio.cli.terminal import terminal_progress
    from studio.errors import SourceMissing
    from studio.retrain.run import read_run, retrain
    from studio.retrain.runs.repetition import Outcome, options_to_repeat
    from studio.settings import settings

    earlier = read_run(folder)
    missing = [example.path for example in earlier.snapshot.examples if not example.path.is_file()]
    if missing:
        raise SourceMissing(
            _(
                "expected the pictures where they were; {count} of {all} are not, such as {path}. Bring them "
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
