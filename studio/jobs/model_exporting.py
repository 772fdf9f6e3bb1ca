"""What the export of a model does as a job: a run in one form or in several, each a .zip to be fetched."""

import shutil
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.errors import Stopped, StudioError
from studio.language import _

if TYPE_CHECKING:  # which itself imports this
    from studio.jobs.kinds import Work

KEPT_RUNS = 5
"""So many runs of a project have exports at a time; those of others make room."""


def shelf(exports_dir: Path, project_id: int) -> Path:
    """Return where a project's exported models lie: a folder a run, in it a .zip a form."""
    return exports_dir / str(project_id) / "models"


def _export_model(work: "Work") -> dict[str, Any]:
    from studio.collect.projects import project_of
    from studio.predict.measuring import measured
    from studio.retrain.runs import project_runs
    from studio.share.exports.export import export
    from studio.share.exports.form import Context

    arguments, settings = work.job.arguments, work.settings
    with work.database.read() as session:
        run = project_runs.run(session, arguments["run_id"])
        project = project_of(session, work.project_id)
    run_dir = settings.runs_dir / run.folder
    threads = settings.threads_used
    measured(run_dir, settings.bottleneck_dir, threads=threads, progress=work.progress)
    context = Context(model_name(project.name, run.name), settings.downloads_dir, work.progress, threads)
    folder = shelf(settings.exports_dir, project.id) / str(run.id)
    for part in folder.glob(".export-*.part"):  # of one that was cut off; a project has one at a time
        shutil.rmtree(part, ignore_errors=True)
    done: list[str] = []
    failed: dict[str, str] = {}
    first: Exception | None = None
    for name in arguments["formats"]:
        try:
            export(run_dir, name, folder / f"{name}.zip", context)
            done.append(name)
        except Stopped:
            raise
        except Exception as error:
            first = first or error
            said = " ".join(str(error).split())
            if not isinstance(error, StudioError):
                traceback.print_exc()  # into the worker's log
                said = _("Something unexpected happened ({kind}: {error}).").format(
                    kind=type(error).__name__, error=said
                )
            failed[name] = said
    if first is not None and not done:
        raise first
    _make_room(folder)
    return {"run_id": run.id, "formats": done, "failed": failed}


def model_name(project: str, run: str) -> str:
    """Return what a run's model is called, for people."""
    return f"{project}, {run}" if run else project


def _make_room(folder: Path) -> None:
    others = [each for each in folder.parent.iterdir() if each.is_dir() and each != folder]
    others.sort(key=lambda each: each.stat().st_mtime, reverse=True)
    for old in others[KEPT_RUNS - 1 :]:
        shutil.rmtree(old, ignore_errors=True)  # on Windows not while somebody fetches: the next export will


MODEL_EXPORTING = {"export_model": _export_model}
