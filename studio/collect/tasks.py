"""What each kind of job does: a room's function, given what a job knows."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import models
from db.engine import Database
from studio.collect.address_lists import parse_addresses
from studio.collect.web import frontier
from studio.collect.web.crawl import Plan
from studio.collect.web.service import checked_phrases
from studio.datasets.names import class_name_of
from studio.datasets.projects import create_project
from studio.errors import ProjectError, SourceMissing
from studio.i18n import _
from studio.jobs import queue
from studio.jobs.context import JobContext, Task

if TYPE_CHECKING:
    from studio.collect.ingest import IngestReport
    from studio.collect.web.fetcher import Visitor


_SHOWN_REFUSALS = 500
"""How many refusals a job's result lists; the `finds` table has them all."""


def import_arguments(work: JobContext) -> dict[str, Any]:
    """Return the arguments that every importer shares."""
    from studio.images.store import ImageStore

    return {
        "database": work.database,
        "store": ImageStore(work.settings.images_dir),
        "project_id": work.project_id,
        "progress": work.progress,
        "clock": work.now,
        "job_id": work.job.id,
        "threads": work.settings.threads_used,
    }


def fetcher_of(work: JobContext) -> "Visitor":
    """Return the HTTP client for pages and images, with the limits of the settings and of the job."""
    from studio.collect.web.fetcher import Visitor

    return Visitor(
        agent=work.settings.user_agent,
        allowed_hosts=work.settings.allowed_hosts | set(work.job.arguments.get("allow_hosts", ())),
        connections=work.settings.site_connections,
        delay_s=work.settings.site_delay_s,
    )


def _ingest_path(work: JobContext) -> dict[str, Any]:
    from studio.collect.importers import ingest_path

    arguments = work.job.arguments
    report = ingest_path(
        path=Path(arguments["path"]), class_name=arguments.get("class_name"), **import_arguments(work)
    )
    return _counts(report)


def _ingest_uploads(work: JobContext) -> dict[str, Any]:
    import shutil

    from studio.collect.importers import ingest_uploads

    folder = work.settings.uploads_dir / work.job.arguments["folder"]
    # Gone already where this job was killed between clearing up and saying so: its finds are all written.
    folder.mkdir(parents=True, exist_ok=True)
    report = ingest_uploads(
        folder=folder,
        class_name=work.job.arguments["class_name"],
        kind=work.job.arguments.get("kind", "upload"),
        **import_arguments(work),
    )
    shutil.rmtree(folder, ignore_errors=True)
    return _counts(report)


def _ingest_drawings(work: JobContext) -> dict[str, Any]:
    from studio.collect.importers import ingest_drawings

    return _counts(ingest_drawings(seed=work.job.arguments["seed"], **import_arguments(work)))


def _ingest_codelab(work: JobContext) -> dict[str, Any]:
    from studio.collect.importers import ingest_codelab

    return _counts(ingest_codelab(downloads_dir=work.settings.downloads_dir, **import_arguments(work)))


def _ingest_crawl(work: JobContext) -> dict[str, Any]:
    from studio.collect.web.crawl import Plan, ingest_crawl

    arguments = {key: value for key, value in work.job.arguments.items() if key != "allow_hosts"}
    return _counts(ingest_crawl(plan=Plan.of(arguments), visitor=fetcher_of(work), **import_arguments(work)))


def _ingest_web(work: JobContext) -> dict[str, Any]:
    from studio.collect.web.crawler import harvest

    kind = "list"
    if "hits_of" in work.job.arguments:
        kind = _add_picked(work)
    elif "list_path" in work.job.arguments:
        _add_listed(work)
    report = harvest(
        visitor=fetcher_of(work),
        kind=kind,
        min_side_px=work.job.arguments["min_side_px"],
        **import_arguments(work),
    )
    return _counts(report)


def _add_listed(work: JobContext) -> None:
    from studio.collect.address_lists import read_address_list
    from studio.collect.web import frontier

    arguments = work.job.arguments
    found = read_address_list(Path(arguments["list_path"]))
    with work.database.write() as session:
        frontier.add_listed(
            session, work.project_id, work.job.id, found, arguments["class_name"], at=work.now()
        )


def _add_picked(work: JobContext) -> str:
    """Put what a person picked of a search's hits before the job; return the service that found them."""
    from studio.collect.web import frontier
    from studio.collect.web.search import hits

    arguments = work.job.arguments
    picked = set(arguments["hit_ids"])
    with work.database.write() as session:
        search = queue.find(session, arguments["hits_of"])
        found = [hit for hit in hits(session, arguments["hits_of"]) if hit.id in picked]
        frontier.add(
            session,
            work.job.id,
            [
                frontier.Target(hit.address, "picture", 0, arguments["class_name"], hit.provenance)
                for hit in found
            ],
        )
    return str(search.arguments["service"]) if search is not None else "search"


def _search(work: JobContext) -> dict[str, Any]:
    from studio.collect.web.search import search

    arguments = work.job.arguments
    with fetcher_of(work) as visitor:
        searched = search(
            work.database,
            visitor,
            job_id=work.job.id,
            service=arguments["service"],
            phrases=arguments["phrases"],
            count=arguments["count"],
            licences=frozenset(arguments["licences"]),
            min_side_px=arguments["min_side_px"],
            settings=work.settings,
            progress=work.progress,
        )
    return {**asdict(searched), "job_id": work.job.id}


def _counts(report: "IngestReport") -> dict[str, Any]:
    return {
        "added": report.added,
        "copies": report.copies,
        "near_copies": report.near_copies,
        "refused_count": len(report.refused),
        "why": dict(Counter(refusal.why for refusal in report.refused).most_common()),
        "refused": [asdict(refusal) for refusal in report.refused[:_SHOWN_REFUSALS]],
    }


def ingest_path(
    database: Database, project_id: int, path: Path, class_name: str | None, now: datetime
) -> int:
    """Ask for a folder, an archive or an image on this machine to be brought in; returns the job's id.

    `class_name` is for what stands in no class folder.
    """
    arguments = {"path": str(path), "class_name": class_name}
    with database.write() as session:
        return queue.enqueue(session, "ingest_path", arguments, project_id, now)


def ingest_uploads(
    database: Database,
    project_id: int,
    folder: str,
    class_name: str | None,
    now: datetime,
    kind: str = "upload",
) -> int:
    """Ask for the files in a folder under the uploads to be brought in; returns the job's id.

    kind: upload or camera. Asked again for the same folder, the job is the same. Raises ProjectError when the
    project is not there.
    """
    arguments = {"folder": folder, "class_name": class_name_of(class_name or ""), "kind": kind}
    with database.write() as session:
        # The lock makes two that ask at once take turns, on databases that would not anyway.
        if session.get(models.ProjectRow, project_id, with_for_update=True) is None:
            raise ProjectError(_("There is no such project. It may have been deleted; choose another."))
        asked = _uploads_job(session, folder)
        return asked or queue.enqueue(session, "ingest_uploads", arguments, project_id, now)


def uploads_job(database: Database, folder: str) -> int | None:
    """Return the job that was asked to bring a folder of uploads in."""
    with database.read() as session:
        return _uploads_job(session, folder)


def _uploads_job(session: Session, folder: str) -> int | None:
    job = models.JobRow
    return session.scalar(
        select(job.id).where(job.kind == "ingest_uploads", job.arguments["folder"].as_string() == folder)
    )


def start_crawl(database: Database, project_id: int, plan: Plan, now: datetime) -> int:
    """Ask for a crawl; returns the job's id. Raises what `Plan.checked` raises."""
    arguments = plan.checked().arguments()
    with database.write() as session:
        return queue.enqueue(session, "ingest_crawl", arguments, project_id, now)


def fetch_list(
    database: Database,
    project_id: int,
    data: bytes,
    class_name: str | None,
    min_side_px: int,
    now: datetime,
) -> int:
    """Ask for the images of a list of addresses; returns the job's id.

    Raises SourceMissing when there is no address in it.
    """
    found = parse_addresses(data)
    if not found.entries:
        why = found.refused[0].reason if found.refused else _("it is empty")
        raise SourceMissing(
            _("expected a list with at least one address of an image: {why}.").format(why=why.rstrip("."))
        )
    with database.write() as session:
        job_id = queue.enqueue(session, "ingest_web", {"min_side_px": min_side_px}, project_id, now)
        frontier.add_listed(session, project_id, job_id, found, class_name_of(class_name or ""), at=now)
    return job_id


def start_search(
    database: Database,
    project_id: int,
    service: str,
    phrases: Sequence[str],
    *,
    count: int,
    licences: Sequence[str],
    min_side_px: int,
    now: datetime,
) -> int:
    """Ask for a search; returns the job's id. Raises SearchFailed for words that cannot be searched for."""
    arguments = {
        "service": service,
        "phrases": list(checked_phrases(service, phrases, licences)),
        "count": count,
        "licences": list(licences),
        "min_side_px": min_side_px,
    }
    with database.write() as session:
        return queue.enqueue(session, "search", arguments, project_id, now)


def fetch_hits(
    database: Database,
    project_id: int,
    search_id: int,
    hit_ids: Sequence[int],
    class_name: str | None,
    now: datetime,
) -> int:
    """Ask for the images that a person picked among what a search found; returns the job's id."""
    arguments = fetching_hits(search_id, hit_ids, class_name, 0)
    with database.write() as session:
        return queue.enqueue(session, "ingest_web", arguments, project_id, now)


def fetching_hits(
    search_id: int, hit_ids: Sequence[int], class_name: str | None, min_side_px: int
) -> dict[str, Any]:
    """Return the arguments of the job that fetches hits of a search."""
    return {
        "hits_of": search_id,
        "hit_ids": list(hit_ids),
        "class_name": class_name,
        "min_side_px": min_side_px,
    }


def begin_with(database: Database, kind: str, name: str, now: datetime) -> str:
    """Make a project filled by `kind` (ingest_drawings, ingest_codelab); returns the project's name.

    The name gets a number behind it where it is taken.
    """
    with database.write() as session:
        taken = {row.name for row in session.query(models.ProjectRow)}
        names = (name if at == 1 else f"{name} {at}" for at in range(1, len(taken) + 2))
        project = create_project(session, next(free for free in names if free not in taken), now)
        arguments = {"seed": project.id} if kind == "ingest_drawings" else {}
        queue.enqueue(session, kind, arguments, project.id, now)
    return project.name


TASKS = (
    Task("ingest_path", _ingest_path),
    Task("ingest_uploads", _ingest_uploads),
    Task("ingest_drawings", _ingest_drawings),
    Task("ingest_codelab", _ingest_codelab),
    Task("ingest_crawl", _ingest_crawl, "network"),
    Task("ingest_web", _ingest_web, "network"),
    Task("search", _search, "network"),
)
IMPORT_KINDS = {task.kind for task in TASKS if task.kind.startswith("ingest_")}
"""The kinds of job that bring images into a project."""
