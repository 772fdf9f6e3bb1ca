"""Jobs of sharing: export a run's model in one or more formats, each a .zip; fetch the browser runtime."""

import json
import shutil
import traceback
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from db import models
from db.engine import Database
from studio.datasets.tasks import delete_file
from studio.errors import JobAlreadyRunning, ProjectError, Stopped, StudioError
from studio.i18n import _
from studio.images.file_names import safe_name
from studio.jobs import queue
from studio.jobs.context import JobContext, Task
from studio.retrain.runs import run_records
from studio.retrain.runs.run_records import RunSummary
from studio.share.exports.formats import EXPORT_FORMATS
from studio.share.exports.parity import PARITY_FILE, Parity

MAX_RUNS_WITH_EXPORTS = 5
"""Of each project; the exports of other runs are deleted, the oldest first."""


def model_exports_dir(exports_dir: Path, project_id: int) -> Path:
    """Return the folder of a project's exported models; it has a folder for each run, with .zip files."""
    return exports_dir / str(project_id) / "models"


def _export_model(context: JobContext) -> dict[str, Any]:
    from studio.datasets.projects import project_of
    from studio.retrain.measure_confidence import measure_confidence
    from studio.retrain.runs import run_records
    from studio.share.exports.export import export_run
    from studio.share.exports.export_format import ExportContext

    arguments, settings = context.job.arguments, context.settings
    with context.database.read() as session:
        run = run_records.get_run(session, arguments["run_id"])
        project = project_of(session, context.project_id)
    run_dir = settings.runs_dir / run.folder
    threads = settings.threads_used
    measure_confidence(run_dir, settings.bottleneck_dir, threads=threads, progress=context.progress)
    export_context = ExportContext(
        model_name(project.name, run.name), settings.downloads_dir, context.progress, threads
    )
    folder = model_exports_dir(settings.exports_dir, project.id) / str(run.id)
    for part in folder.glob(".export-*.part"):  # of an interrupted export; a project runs one at a time
        shutil.rmtree(part, ignore_errors=True)
    done: list[str] = []
    failed: dict[str, str] = {}
    first_error: Exception | None = None
    for name in arguments["formats"]:
        try:
            export_run(run_dir, name, folder / f"{name}.zip", export_context)
            done.append(name)
        except Stopped:
            raise
        except Exception as error:
            first_error = first_error or error
            message = " ".join(str(error).split())
            if not isinstance(error, StudioError):
                traceback.print_exc()  # into the worker's log
                message = _("Something unexpected happened ({kind}: {error}).").format(
                    kind=type(error).__name__, error=message
                )
            failed[name] = message
    if first_error is not None and not done:
        raise first_error
    _delete_old_exports(folder)
    return {"run_id": run.id, "formats": done, "failed": failed}


def model_name(project: str, run: str) -> str:
    """Return the name of a run's model, for people."""
    return f"{project}, {run}" if run else project


def _delete_old_exports(folder: Path) -> None:
    """Delete the exports of all but the newest runs. folder: of the run just exported, which stays."""
    others = [each for each in folder.parent.iterdir() if each.is_dir() and each != folder]
    others.sort(key=lambda each: each.stat().st_mtime, reverse=True)
    for old in others[MAX_RUNS_WITH_EXPORTS - 1 :]:
        # Windows keeps a file that is being downloaded; the next export tries again.
        shutil.rmtree(old, ignore_errors=True)


_MAX_NAME_LENGTH = 40


@dataclass(frozen=True)
class ModelExport:
    """A stored export. size_bytes: of the .zip. at: when it was written, in UTC."""

    format: str
    parity: Parity
    size_bytes: int
    at: datetime


def enqueue_model_export(
    database: Database, project_id: int, run_id: int, formats: Sequence[str], now: datetime
) -> int:
    """Enqueue an export of a run in some of `EXPORT_FORMATS`; return the job's id.

    Raises JobAlreadyRunning while another model of the project is exported, and ProjectError if the run does
    not exist or has no model.
    """
    if not formats or set(formats) - set(EXPORT_FORMATS):
        raise ValueError(f"expected some of {list(EXPORT_FORMATS)}; got {list(formats)}")
    with database.write() as session:
        if session.get(models.ProjectRow, project_id, with_for_update=True) is None:
            raise ProjectError(_("There is no such project. It may have been deleted. Choose another."))
        run = run_records.get_run(session, run_id)
        if run.project_id != project_id or run.evaluation is None:
            raise ProjectError(_("This run has no model. Choose a run that has finished."))
        if queue.latest(session, project_id, {"export_model"}, live_only=True) is not None:
            raise JobAlreadyRunning(
                _("A model of this project is already being exported. Wait for it, or stop it first.")
            )
        arguments: dict[str, Any] = {"run_id": run_id, "formats": list(formats)}
        return queue.enqueue(session, "export_model", arguments, project_id, now)


def list_model_exports(exports_dir: Path, project_id: int, run_id: int) -> dict[str, ModelExport]:
    """Return a run's stored exports by format."""
    exports: dict[str, ModelExport] = {}
    for name in EXPORT_FORMATS:
        path = model_export_path(exports_dir, project_id, run_id, name)
        if path is None:
            continue
        try:
            parity = _parity(path)
            stat = path.stat()
        except (OSError, KeyError, ValueError, zipfile.BadZipFile):
            continue  # just deleted, or not an export
        made = datetime.fromtimestamp(stat.st_mtime, UTC)
        exports[name] = ModelExport(name, parity, stat.st_size, made)
    return exports


def model_export_path(exports_dir: Path, project_id: int, run_id: int, name: str) -> Path | None:
    """Return the path of a stored export; None if there is none."""
    path = model_exports_dir(exports_dir, project_id) / str(run_id) / f"{name}.zip"
    return path if name in EXPORT_FORMATS and path.is_file() else None


def download_name(project: str, run: RunSummary, name: str) -> str:
    """Return the file name under which a browser saves an export."""
    return f"{safe_name(model_name(project, run.name)[:_MAX_NAME_LENGTH], 'model')} {run.id} {name}.zip"


def remove_model_export(exports_dir: Path, project_id: int, run_id: int, name: str) -> None:
    """Delete a stored export. Raises OutputRefused if the system does not allow it."""
    delete_file(model_export_path(exports_dir, project_id, run_id, name), name)


def _parity(path: Path) -> Parity:
    with zipfile.ZipFile(path) as archive:
        member = next((name for name in archive.namelist() if name.endswith(f"/{PARITY_FILE}")), PARITY_FILE)
        return Parity.from_json(json.loads(archive.read(member)))


def _fetch_runtime(context: JobContext) -> dict[str, Any]:
    from studio.share.web_demo.runtime import ensure_runtime

    ensure_runtime(context.settings.downloads_dir, context.progress)
    return {}


def enqueue_runtime_fetch(database: Database, project_id: int, now: datetime) -> None:
    """Enqueue the download of the browser runtime, unless one is queued or running."""
    with database.write() as session:
        if queue.latest(session, project_id, {"fetch_runtime"}, live_only=True) is None:
            queue.enqueue(session, "fetch_runtime", {}, project_id, now)


TASKS = (Task("export_model", _export_model), Task("fetch_runtime", _fetch_runtime, "network"))
