"""Exports as jobs: the task, asking for one, and the finished exports that a browser can fetch."""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import models
from db.engine import Database
from studio.datasets.formats import EXPORT_FORMATS
from studio.errors import JobAlreadyRunning, OutputRefused, ProjectError
from studio.i18n import _
from studio.images.file_names import safe_name
from studio.jobs import queue
from studio.jobs.context import JobContext, Task

MAX_KEPT_EXPORTS = 3
"""So many exports of a project in one format are kept for the browser to fetch; older ones are deleted."""
_MAX_LISTED_LOST = 500
_EXPORT_NAME = re.compile(r"[^/\\:]+\.zip")
_MAX_TITLE_CHARACTERS = 40


@dataclass(frozen=True)
class Export:
    """An export that can be fetched."""

    name: str
    """The file's name in the project's folder of exports."""
    format_name: str
    images: int
    lost_count: int
    size_bytes: int
    created_at: datetime


def enqueue_export(database: Database, project_id: int, format_name: str, now: datetime) -> int:
    """Enqueue an export as a .zip that a browser can fetch; return the job's id.

    format_name: one of EXPORT_FORMATS. Raises JobAlreadyRunning while another export of the project is under
    way, and ProjectError when there is no such project.
    """
    if format_name not in EXPORT_FORMATS:
        raise ValueError(f"expected one of {tuple(EXPORT_FORMATS)}; got {format_name!r}")
    with database.write() as session:
        project = session.get(models.ProjectRow, project_id, with_for_update=True)
        if project is None:
            raise ProjectError(_("There is no such project. It may have been deleted; choose another."))
        if queue.latest(session, project_id, {"export_data"}, live_only=True) is not None:
            raise JobAlreadyRunning(
                _("This project is being exported already. Wait for it, or stop it first.")
            )
        title = safe_name(project.name[:_MAX_TITLE_CHARACTERS], "project")
        name = f"{title} {format_name} {now:%Y-%m-%d %H%M%S}.zip"
        return queue.enqueue(session, "export_data", {"format": format_name, "name": name}, project_id, now)


def list_exports(session: Session, exports_dir: Path, project_id: int) -> tuple[Export, ...]:
    """Return a project's exports whose files exist, the newest first."""
    exports = []
    for job in _finished_jobs(session, project_id):
        path = _export_file(exports_dir, project_id, job)
        if path is not None:
            result = job.result or {}
            exports.append(
                Export(
                    name=path.name,
                    format_name=str(job.arguments.get("format", "")),
                    images=int(result.get("pictures", 0)),
                    lost_count=int(result.get("lost_count", 0)),
                    size_bytes=path.stat().st_size,
                    created_at=job.created_at,
                )
            )
    return tuple(exports)


def export_path(session: Session, exports_dir: Path, project_id: int, name: str) -> Path | None:
    """Return the path of an export; None for a name that no job has written, and for a deleted one."""
    jobs = (job for job in _finished_jobs(session, project_id) if (job.result or {}).get("name") == name)
    job = next(jobs, None)
    return None if job is None else _export_file(exports_dir, project_id, job)


def delete_export(database: Database, exports_dir: Path, project_id: int, name: str) -> None:
    """Delete an export's file. Raises OutputRefused where the system refuses."""
    with database.read() as session:
        path = export_path(session, exports_dir, project_id, name)
    delete_file(path, name)


def delete_file(path: Path | None, name: str) -> None:
    """Delete a file, if there is one. Raises OutputRefused, calling it `name`, where the system refuses."""
    try:
        if path is not None:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputRefused(
            _("{name} cannot be deleted now: {reason}. Try again when nobody is downloading it.").format(
                name=name, reason=error.strerror or error
            )
        ) from error


def _finished_jobs(session: Session, project_id: int) -> Iterable[models.JobRow]:
    job = models.JobRow
    return session.scalars(
        select(job)
        .where(job.project_id == project_id, job.kind == "export_data", job.state == "done")
        .order_by(job.id.desc())
    )


def _export_file(exports_dir: Path, project_id: int, job: models.JobRow) -> Path | None:
    name = str((job.result or {}).get("name", ""))
    if not _EXPORT_NAME.fullmatch(name):
        return None
    path = exports_dir / str(project_id) / name
    return path if path.is_file() else None


def _export_data(context: JobContext) -> dict[str, Any]:
    from studio.datasets.export import export
    from studio.datasets.projects import project_of
    from studio.images.store import ImageStore

    arguments, settings = context.job.arguments, context.settings
    with context.database.read() as session:
        project = project_of(session, context.project_id)
    name = arguments.get("name")
    folder = settings.exports_dir / str(project.id)
    if name:
        _delete_partial_exports(folder)
    output = folder / name if name else Path(arguments["output"])
    format_name = arguments["format"]
    result = export(
        context.database,
        ImageStore(settings.images_dir),
        project,
        format_name,
        output,
        progress=context.progress,
        token=str(context.job.id),
    )
    if name:
        _delete_old_exports(context, folder, format_name, name)
    lost = [asdict(image) for image in result.lost]
    counts = {key: value for key, value in asdict(result).items() if key not in ("images", "lost")}
    return {
        "pictures": result.images,
        **counts,
        "format": format_name,
        **({"name": name} if name else {"output": str(output)}),
        "lost_count": len(lost),
        "lost": lost[:_MAX_LISTED_LOST],
    }


def _delete_partial_exports(folder: Path) -> None:
    """Delete what interrupted exports have left; a project has one export at a time."""
    for part in folder.glob(".export-*.part") if folder.is_dir() else ():
        part.unlink(missing_ok=True)


def _delete_old_exports(context: JobContext, folder: Path, format_name: str, name: str) -> None:
    """Delete the oldest exports of a format beyond MAX_KEPT_EXPORTS. name: that of the newest."""
    with context.database.read() as session:
        exports = list_exports(session, folder.parent, context.project_id)
    earlier = [each.name for each in exports if each.format_name == format_name and each.name != name]
    for old in earlier[MAX_KEPT_EXPORTS - 1 :]:
        try:
            (folder / old).unlink(missing_ok=True)
        except OSError:  # on Windows, while it is being downloaded: the next export deletes it
            continue


TASKS = (Task("export_data", _export_data, "files"),)
