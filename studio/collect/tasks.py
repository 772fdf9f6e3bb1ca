"""Jobs that bring images into a project: the functions that request one, and the tasks that run them.

`start_…` validates a request, queues its job and returns the job's id. `_run_…` runs the job, in the worker
or in a command's own process.
"""

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import models
from db.engine import Database
from studio.collect import importers
from studio.collect.ingest import ImportContext, IngestReport
from studio.collect.url_lists import parse_url_list, read_url_list
from studio.collect.web import frontier
from studio.collect.web.crawl import CrawlPlan, ingest_crawl
from studio.collect.web.crawler import ingest_frontier
from studio.collect.web.fetcher import Fetcher
from studio.collect.web.frontier import FrontierItem
from studio.collect.web.search import search, search_hits
from studio.collect.web.search_registry import SearchRequest
from studio.datasets.names import clean_class_name
from studio.datasets.projects import create_project
from studio.errors import ProjectError, SourceMissing
from studio.i18n import _
from studio.images.store import ImageStore
from studio.jobs import queue
from studio.jobs.context import JobContext, Task

_MAX_LISTED_SKIPPED = 500
"""The skipped files that a job's result lists; the outcomes in the database are complete."""


def start_ingest_path(
    database: Database, project_id: int, path: Path, class_name: str | None, now: datetime
) -> int:
    """Queue the import of a folder, an archive or an image on this machine.

    class_name: for images outside of class folders.
    """
    arguments = {"path": str(path), "class_name": class_name}
    with database.write() as session:
        return queue.enqueue(session, "ingest_path", arguments, project_id, now)


def start_ingest_uploads(
    database: Database,
    project_id: int,
    folder: str,
    class_name: str | None,
    now: datetime,
    kind: str = "upload",
) -> int:
    """Queue the import of a folder below the uploads folder; a repeated request returns the same job.

    kind: provenance kind, upload or camera. Raises ProjectError when the project does not exist.
    """
    arguments = {"folder": folder, "class_name": clean_class_name(class_name or ""), "kind": kind}
    with database.write() as session:
        # The lock serialises two requests at once on databases that allow concurrent writers.
        if session.get(models.ProjectRow, project_id, with_for_update=True) is None:
            raise ProjectError(_("There is no such project. It may have been deleted; choose another."))
        existing = _uploads_job_id(session, folder)
        return existing or queue.enqueue(session, "ingest_uploads", arguments, project_id, now)


def find_uploads_job(database: Database, folder: str) -> int | None:
    """Return the id of the job that imports a folder of uploads, if there is one."""
    with database.read() as session:
        return _uploads_job_id(session, folder)


def start_crawl(database: Database, project_id: int, plan: CrawlPlan, now: datetime) -> int:
    """Queue a crawl. Raises what `CrawlPlan.checked` raises."""
    arguments = plan.checked().to_arguments()
    with database.write() as session:
        return queue.enqueue(session, "ingest_crawl", arguments, project_id, now)


def start_fetch_list(
    database: Database,
    project_id: int,
    data: bytes,
    class_name: str | None,
    min_side_px: int,
    now: datetime,
) -> int:
    """Queue the import of the images that a list of URLs names.

    Raises SourceMissing when the list holds no URL.
    """
    url_list = parse_url_list(data)
    if not url_list.entries:
        why = url_list.skipped[0].message if url_list.skipped else _("it is empty")
        raise SourceMissing(
            _("expected a list with at least one URL of an image: {why}.").format(why=why.rstrip("."))
        )
    class_name = clean_class_name(class_name or "")
    with database.write() as session:
        job_id = queue.enqueue(session, "ingest_web", {"min_side_px": min_side_px}, project_id, now)
        frontier.add_url_list(session, project_id, job_id, url_list, class_name, at=now)
    return job_id


def start_search(database: Database, project_id: int, request: SearchRequest, now: datetime) -> int:
    """Queue a search. Raises what `SearchRequest.checked` raises."""
    arguments = request.checked().to_arguments()
    with database.write() as session:
        return queue.enqueue(session, "search", arguments, project_id, now)


def start_fetch_hits(
    database: Database,
    project_id: int,
    search_id: int,
    hit_ids: Sequence[int],
    class_name: str | None,
    now: datetime,
) -> int:
    """Queue the import of the hits that a person picked from a search."""
    arguments = fetch_hits_arguments(search_id, hit_ids, class_name, 0)
    with database.write() as session:
        return queue.enqueue(session, "ingest_web", arguments, project_id, now)


def fetch_hits_arguments(
    search_id: int, hit_ids: Sequence[int], class_name: str | None, min_side_px: int
) -> dict[str, Any]:
    """Return the arguments of the job that fetches hits of a search."""
    return {
        "hits_of": search_id,
        "hit_ids": list(hit_ids),
        "class_name": class_name,
        "min_side_px": min_side_px,
    }


def create_project_with_samples(database: Database, kind: str, name: str, now: datetime) -> str:
    """Create a project, queue the import of a sample dataset into it, and return the project's name.

    kind: of the job, ingest_drawings or ingest_codelab. A number is appended to a name that is taken.
    """
    with database.write() as session:
        taken = {row.name for row in session.query(models.ProjectRow)}
        names = (name if number == 1 else f"{name} {number}" for number in range(1, len(taken) + 2))
        project = create_project(session, next(free for free in names if free not in taken), now)
        arguments = {"seed": project.id} if kind == "ingest_drawings" else {}
        queue.enqueue(session, kind, arguments, project.id, now)
    return project.name


def _uploads_job_id(session: Session, folder: str) -> int | None:
    job = models.JobRow
    return session.scalar(
        select(job.id).where(job.kind == "ingest_uploads", job.arguments["folder"].as_string() == folder)
    )


def _run_ingest_path(job: JobContext) -> dict[str, Any]:
    arguments = job.job.arguments
    report = importers.ingest_path(_import_context(job), Path(arguments["path"]), arguments.get("class_name"))
    return _result_json(report)


def _run_ingest_uploads(job: JobContext) -> dict[str, Any]:
    arguments = job.job.arguments
    folder = job.settings.uploads_dir / arguments["folder"]
    # A job killed between removing the folder and reporting runs again without it: its outcomes are complete.
    folder.mkdir(parents=True, exist_ok=True)
    report = importers.ingest_uploads(
        _import_context(job), folder, arguments["class_name"], arguments.get("kind", "upload")
    )
    shutil.rmtree(folder, ignore_errors=True)
    return _result_json(report)


def _run_ingest_sample_shapes(job: JobContext) -> dict[str, Any]:
    return _result_json(importers.ingest_sample_shapes(_import_context(job), job.job.arguments["seed"]))


def _run_ingest_flower_photos(job: JobContext) -> dict[str, Any]:
    return _result_json(importers.ingest_flower_photos(_import_context(job), job.settings.downloads_dir))


def _run_crawl(job: JobContext) -> dict[str, Any]:
    arguments = {name: value for name, value in job.job.arguments.items() if name != "allow_hosts"}
    plan = CrawlPlan.from_arguments(arguments)
    return _result_json(ingest_crawl(_import_context(job), _fetcher(job), plan))


def _run_fetch_urls(job: JobContext) -> dict[str, Any]:
    """Fetch the images of a list of URLs or of picked search hits."""
    arguments = job.job.arguments
    kind = "list"
    if "hits_of" in arguments:
        kind = _add_picked_hits(job)
    elif "list_path" in arguments:
        _add_url_list(job)
    report = ingest_frontier(
        _import_context(job), _fetcher(job), kind=kind, min_side_px=arguments["min_side_px"]
    )
    return _result_json(report)


def _add_url_list(job: JobContext) -> None:
    arguments = job.job.arguments
    url_list = read_url_list(Path(arguments["list_path"]))
    with job.database.write() as session:
        frontier.add_url_list(
            session, job.project_id, job.job.id, url_list, arguments["class_name"], at=job.now()
        )


def _add_picked_hits(job: JobContext) -> str:
    """Add the hits that a person picked to the job's frontier; return the service that found them."""
    arguments = job.job.arguments
    picked = set(arguments["hit_ids"])
    with job.database.write() as session:
        search_job = queue.find(session, arguments["hits_of"])
        hits = [hit for hit in search_hits(session, arguments["hits_of"]) if hit.id in picked]
        items = [FrontierItem(hit.url, "picture", 0, arguments["class_name"], hit.provenance) for hit in hits]
        frontier.add_items(session, job.job.id, items)
    return str(search_job.arguments["service"]) if search_job is not None else "search"


def _run_search(job: JobContext) -> dict[str, Any]:
    with _fetcher(job) as fetcher:
        result = search(
            job.database,
            fetcher,
            SearchRequest.from_arguments(job.job.arguments),
            job_id=job.job.id,
            settings=job.settings,
            progress=job.progress,
        )
    return {**asdict(result), "job_id": job.job.id}


def _import_context(job: JobContext) -> ImportContext:
    return ImportContext(
        database=job.database,
        store=ImageStore(job.settings.images_dir),
        project_id=job.project_id,
        clock=job.now,
        progress=job.progress,
        job_id=job.job.id,
        threads=job.settings.threads_used,
    )


def _fetcher(job: JobContext) -> Fetcher:
    """Return a fetcher with the limits of the settings and the allowed hosts of the job."""
    return Fetcher(
        agent=job.settings.user_agent,
        allowed_hosts=job.settings.allowed_hosts | set(job.job.arguments.get("allow_hosts", ())),
        connections=job.settings.site_connections,
        delay_s=job.settings.site_delay_s,
    )


def _result_json(report: IngestReport) -> dict[str, Any]:
    """Return a report as a job's result, under the keys that databases of earlier versions hold."""
    return {
        "added": report.added,
        "copies": report.duplicates,
        "near_copies": report.near_duplicates,
        "refused_count": len(report.skipped),
        "why": dict(Counter(file.skip_reason for file in report.skipped).most_common()),
        "refused": [
            {"name": file.name, "reason": file.message, "why": file.skip_reason}
            for file in report.skipped[:_MAX_LISTED_SKIPPED]
        ],
    }


TASKS = (
    Task("ingest_path", _run_ingest_path),
    Task("ingest_uploads", _run_ingest_uploads),
    Task("ingest_drawings", _run_ingest_sample_shapes),
    Task("ingest_codelab", _run_ingest_flower_photos),
    Task("ingest_crawl", _run_crawl, "network"),
    Task("ingest_web", _run_fetch_urls, "network"),
    Task("search", _run_search, "network"),
)
IMPORT_KINDS = {task.kind for task in TASKS if task.kind.startswith("ingest_")}
"""The kinds of job that bring images into a project."""
