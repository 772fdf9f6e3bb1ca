"""A run as a person names it on the command line: by its folder, its folder's name, or its number."""

from dataclasses import dataclass
from pathlib import Path

from studio.errors import ModelUnreadable, ProjectError
from studio.language import _


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
    from studio.collect.projects import project_of
    from studio.data import open_database
    from studio.jobs.model_exporting import model_name
    from studio.retrain.runs import project_runs
    from studio.settings import settings

    database = open_database(settings())
    try:
        with database.read() as session:
            run = project_runs.run(session, run_id)
            name = model_name(project_of(session, run.project_id).name, run.name)
    except ProjectError:
        return None
    finally:
        database.close()
    return ChosenRun(settings().runs_dir / run.folder, name)
