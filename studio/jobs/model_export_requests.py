"""Asking for exports of models that a browser can fetch, and what is there of them."""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from db import models
from db.engine import Database
from studio.curate.export.file_names import safe_name
from studio.errors import ProjectError
from studio.jobs import queue
from studio.jobs.export_requests import let_go
from studio.jobs.model_exporting import MODEL_EXPORTING, model_name, shelf
from studio.jobs.requests import AlreadyAtWork
from studio.language import _
from studio.retrain.runs import project_runs
from studio.retrain.runs.project_runs import RunSummary
from studio.share.exports.formats import FORMATS
from studio.share.exports.parity import PARITY, Parity

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
        if session.get(models.Project, project_id, with_for_update=True) is None:
            raise ProjectError(_("There is no such project. It may have been deleted; choose another."))
        run = project_runs.run(session, run_id)
        if run.project_id != project_id or run.evaluation is None:
            raise ProjectError(_("This run has no model yet. Choose one that has ended well."))
        if queue.latest(session, project_id, set(MODEL_EXPORTING), live_only=True) is not None:
            raise AlreadyAtWork(_("A model is being exported already. Wait for it, or stop it first."))
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
