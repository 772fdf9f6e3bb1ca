"""What the export of a model does as a job: a run in one form or in several, each a .zip to be fetched."""

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
from studio.datasets.tasks import let_go
from studio.errors import JobAlreadyRunning, ProjectError, Stopped, StudioError
from studio.i18n import _
from studio.images.file_names import safe_name
from studio.jobs import queue
from studio.jobs.context import JobContext, Task
from studio.retrain.runs import run_records
from studio.retrain.runs.run_records import RunSummary
from studio.share.exports.formats import FORMATS
from studio.share.exports.parity import PARITY, Parity

KEPT_RUNS = 5
"""So many runs of a project have exports at a time; those of others make room."""


def shelf(exports_dir: Path, project_id: int) -> Path:
    """Return where a project's exported models lie: a folder a run, in it a .zip a form."""
    return exports_dir / str(project_id) / "models"


def _export_model(work: JobContext) -> dict[str, Any]:
    from studio.datasets.projects import project_of
    from studio.retrain.measure_confidence import measured
    from studio.retrain.runs import run_records
    from studio.share.exports.export import export
    from studio.share.exports.format import Context

    arguments, settings = work.job.arguments, work.settings
    with work.database.read() as session:
        run = run_records.run(session, arguments["run_id"])
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


_LONGEST_NAME = 40


@dataclass(frozen=True)
class ModelExport:
    """An export that can be fetched. at: when it was made; size_bytes: of the .zip."""

    format: str
    parity: Parity
    size_bytes: int
    at: datetime


def export_model(
    database: Database, project_id: int, run_id: int, formats: Sequence[str], now: datetime
) -> int:
    """Ask for a run in some of `FORMATS`; returns the job's id.

    Raises AlreadyAtWork while another model of the project is exported, and ProjectError where the run is
    not there or has no model.
    """
    if not formats or set(formats) - set(FORMATS):
        raise ValueError(f"expected some of {list(FORMATS)}; got {list(formats)}")
    with database.write() as session:
        if session.get(models.ProjectRow, project_id, with_for_update=True) is None:
            raise ProjectError(_("There is no such project. It may have been deleted; choose another."))
        run = run_records.run(session, run_id)
        if run.project_id != project_id or run.evaluation is None:
            raise ProjectError(_("This run has no model yet. Choose one that has ended well."))
        if queue.latest(session, project_id, {"export_model"}, live_only=True) is not None:
            raise JobAlreadyRunning(_("A model is being exported already. Wait for it, or stop it first."))
        arguments: dict[str, Any] = {"run_id": run_id, "formats": list(formats)}
        return queue.enqueue(session, "export_model", arguments, project_id, now)


def model_exports(exports_dir: Path, project_id: int, run_id: int) -> dict[str, ModelExport]:
    """Return a run's exports that are there, by their format."""
    found: dict[str, ModelExport] = {}
    for name in FORMATS:
        path = model_export_path(exports_dir, project_id, run_id, name)
        if path is None:
            continue
        try:
            parity = _parity(path)
            stat = path.stat()
        except (OSError, KeyError, ValueError, zipfile.BadZipFile):
            continue  # gone, or nobody's
        made = datetime.fromtimestamp(stat.st_mtime, UTC)
        found[name] = ModelExport(name, parity, stat.st_size, made)
    return found


def model_export_path(exports_dir: Path, project_id: int, run_id: int, name: str) -> Path | None:
    """Return where an export lies; None where there is none."""
    path = shelf(exports_dir, project_id) / str(run_id) / f"{name}.zip"
    return path if name in FORMATS and path.is_file() else None


def download_name(project: str, run: RunSummary, name: str) -> str:
    """Return what a browser saves an export as."""
    return f"{safe_name(model_name(project, run.name)[:_LONGEST_NAME], 'model')} {run.id} {name}.zip"


def remove_model_export(exports_dir: Path, project_id: int, run_id: int, name: str) -> None:
    """Delete an export's file. Raises OutputRefused where the system does not let it go."""
    let_go(model_export_path(exports_dir, project_id, run_id, name), name)


def _parity(path: Path) -> Parity:
    with zipfile.ZipFile(path) as archive:
        inside = next((name for name in archive.namelist() if name.endswith(f"/{PARITY}")), PARITY)
        return Parity.from_json(json.loads(archive.read(inside)))


def _fetch_runtime(work: JobContext) -> dict[str, Any]:
    from studio.share.web_demo.runtime import runtime

    runtime(work.settings.downloads_dir, work.progress)
    return {}


def fetch_runtime(database: Database, project_id: int, now: datetime) -> None:
    """Ask for the runtime to be fetched, unless that is under way."""
    with database.write() as session:
        if queue.latest(session, project_id, {"fetch_runtime"}, live_only=True) is None:
            queue.enqueue(session, "fetch_runtime", {}, project_id, now)


TASKS = (Task("export_model", _export_model), Task("fetch_runtime", _fetch_runtime, "network"))
