"""What an export's job does, and how many of a project's exports are kept."""

import re
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import models
from db.engine import Database
from studio.datasets.export import KINDS
from studio.errors import JobAlreadyRunning, OutputRefused, ProjectError
from studio.i18n import _
from studio.images.file_names import safe_name
from studio.jobs import queue
from studio.jobs.context import JobContext, Task

KEPT = 3
"""So many exports of a project in one format stay for the browser to fetch; older ones make room."""
_SHOWN = 500


def _export_data(work: JobContext) -> dict[str, Any]:
    from studio.datasets.export import export
    from studio.datasets.projects import project_of
    from studio.images.store import ImageStore

    arguments, settings = work.job.arguments, work.settings
    with work.database.read() as session:
        project = project_of(session, work.project_id)
    name = arguments.get("name")
    shelf = settings.exports_dir / str(project.id)
    if name:
        _clear(shelf)
    output = shelf / name if name else Path(arguments["output"])
    kind = arguments["format"]
    done = export(
        work.database,
        ImageStore(settings.images_dir),
        project,
        kind,
        output,
        progress=work.progress,
        token=str(work.job.id),
    )
    if name:
        _make_room(work, shelf, kind, name)
    lost = [asdict(each) for each in done.lost]
    counts = {name: value for name, value in asdict(done).items() if name not in ("images", "lost")}
    return {
        "pictures": done.images,
        **counts,
        "format": kind,
        **({"name": name} if name else {"output": str(output)}),
        "lost_count": len(lost),
        "lost": lost[:_SHOWN],
    }


def _clear(shelf: Path) -> None:
    """Remove what exports that were cut off have left; a project has one at a time."""
    for part in shelf.glob(".export-*.part") if shelf.is_dir() else ():
        part.unlink(missing_ok=True)


def _make_room(work: JobContext, shelf: Path, kind: str, name: str) -> None:

    with work.database.read() as session:
        found = [each for each in exports(session, shelf.parent, work.project_id) if each.kind == kind]
    earlier = [each.name for each in found if each.name != name]
    for old in earlier[KEPT - 1 :]:
        try:
            (shelf / old).unlink(missing_ok=True)
        except OSError:  # on Windows, while somebody fetches it: the next export will
            continue


TASKS = (Task("export_data", _export_data, "files"),)
_ONE_NAME = re.compile(r"[^/\\:]+\.zip")
_LONGEST_NAME = 40


@dataclass(frozen=True)
class Export:
    """An export that can be fetched."""

    name: str
    """The file's name under the project's folder of exports."""
    kind: str
    images: int
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
        project = session.get(models.ProjectRow, project_id, with_for_update=True)
        if project is None:
            raise ProjectError(_("There is no such project. It may have been deleted; choose another."))
        if queue.latest(session, project_id, {"export_data"}, live_only=True) is not None:
            raise JobAlreadyRunning(
                _("This project is being exported already. Wait for it, or stop it first.")
            )
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
                    images=int(result.get("pictures", 0)),
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
    job = models.JobRow
    return session.scalars(
        select(job)
        .where(job.project_id == project_id, job.kind == "export_data", job.state == "done")
        .order_by(job.id.desc())
    )


def _path(exports_dir: Path, project_id: int, job: models.JobRow) -> Path | None:
    name = str((job.result or {}).get("name", ""))
    if not _ONE_NAME.fullmatch(name):
        return None
    path = exports_dir / str(project_id) / name
    return path if path.is_file() else None
