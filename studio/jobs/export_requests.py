"""Asking for exports that a browser can fetch, and keeping track of those that are there."""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import models
from db.engine import Database
from studio.curate.export.export import KINDS
from studio.curate.export.file_names import safe_name
from studio.errors import OutputRefused, ProjectError
from studio.jobs import queue
from studio.jobs.exporting import EXPORTING
from studio.jobs.requests import AlreadyAtWork
from studio.language import _

_ONE_NAME = re.compile(r"[^/\\:]+\.zip")
_LONGEST_NAME = 40


@dataclass(frozen=True)
class Export:
    """An export that can be fetched."""

    name: str
    """The file's name under the project's folder of exports."""
    kind: str
    pictures: int
    lost_count: int
    size_bytes: int
    at: datetime


def export(database: Database, project_id: int, kind: str, now: datetime) -> int:
    """Ask for an export as a .zip that a browser can fetch; returns the job's id.

    Raises AlreadyAtWork while another of the project is under way, and ProjectError when it is not there.
    """
    if kind not in KINDS:
        raise ValueError(f"expected one of {KINDS}; got {kind!r}")
    with database.write() as session:
        project = session.get(models.Project, project_id, with_for_update=True)
        if project is None:
            raise ProjectError(_("There is no such project. It may have been deleted; choose another."))
        if queue.latest(session, project_id, set(EXPORTING), live_only=True) is not None:
            raise AlreadyAtWork(_("This project is being exported already. Wait for it, or stop it first."))
        title = safe_name(project.name[:_LONGEST_NAME], "project")
        name = f"{title} {kind} {now:%Y-%m-%d %H%M%S}.zip"
        return queue.enqueue(session, "export_data", {"format": kind, "name": name}, project_id, now)


def exports(session: Session, exports_dir: Path, project_id: int) -> tuple[Export, ...]:
    """Return a project's exports whose files are there, the newest first."""
    found = []
    for job in _done(session, project_id):
        path = _path(exports_dir, project_id, job)
        if path is not None:
            result = job.result or {}
            found.append(
                Export(
                    name=path.name,
                    kind=str(job.arguments.get("format", "")),
                    pictures=int(result.get("pictures", 0)),
                    lost_count=int(result.get("lost_count", 0)),
                    size_bytes=path.stat().st_size,
                    at=job.created_at,
                )
            )
    return tuple(found)


def export_path(session: Session, exports_dir: Path, project_id: int, name: str) -> Path | None:
    """Return where an export lies; None for a name that no job has written, and for one that is gone."""
    jobs = (job for job in _done(session, project_id) if (job.result or {}).get("name") == name)
    job = next(jobs, None)
    return None if job is None else _path(exports_dir, project_id, job)


def remove(database: Database, exports_dir: Path, project_id: int, name: str) -> None:
    """Delete an export's file. Raises OutputRefused where the system does not let it go."""
    with database.read() as session:
        path = export_path(session, exports_dir, project_id, name)
    let_go(path, name)


def let_go(path: Path | None, name: str) -> None:
    """Delete a file, if there is one. Raises OutputRefused where the system does not let it go."""
    try:
        if path is not None:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputRefused(
            _("{name} cannot be deleted now: {why}. Try again when nobody fetches it.").format(
                name=name, why=error.strerror or error
            )
        ) from error


def _done(session: Session, project_id: int) -> Any:
    job = models.Job
    return session.scalars(
        select(job)
        .where(job.project_id == project_id, job.kind.in_(EXPORTING), job.state == "done")
        .order_by(job.id.desc())
    )


def _path(exports_dir: Path, project_id: int, job: models.Job) -> Path | None:
    name = str((job.result or {}).get("name", ""))
    if not _ONE_NAME.fullmatch(name):
        return None
    path = exports_dir / str(project_id) / name
    return path if path.is_file() else None
