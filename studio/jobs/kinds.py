"""What each kind of job does: a room's function, given what a job knows."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db.engine import Database
from studio.jobs import curating, queue
from studio.jobs.answering import ANSWERING
from studio.jobs.exporting import EXPORTING
from studio.jobs.model_exporting import MODEL_EXPORTING
from studio.jobs.queue import Job
from studio.jobs.retraining import RETRAINING
from studio.jobs.sharing import SHARING
from studio.progress import Progress
from studio.settings import Settings

if TYPE_CHECKING:  # whoever only needs the kinds' names does not pay for what they do
    from studio.collect.ingest import IngestReport
    from studio.collect.web.visitor import Visitor

_SHOWN_REFUSALS = 500
"""How many refusals a job's result lists; the `finds` table has them all."""


@dataclass(frozen=True)
class Work:
    """A job, and what its function needs."""

    database: Database
    settings: Settings
    job: Job
    progress: Progress

    @property
    def project_id(self) -> int:
        """The project that the job is for."""
        if self.job.project_id is None:
            raise ValueError(
                f"expected a {self.job.kind} job to name its project; job {self.job.id} does not"
            )
        return self.job.project_id


def import_arguments(work: Work) -> dict[str, Any]:
    """Return the arguments that every importer shares."""
    from studio.collect.store import PictureStore

    return {
        "database": work.database,
        "store": PictureStore(work.settings.pictures_dir),
        "project_id": work.project_id,
        "progress": work.progress,
        "clock": _now,
        "job_id": work.job.id,
        "threads": work.settings.threads_used,
    }


def fetcher_of(work: Work) -> "Visitor":
    """Return the HTTP client for pages and images, with the limits of the settings and of the job."""
    from studio.collect.web.visitor import Visitor

    return Visitor(
        agent=work.settings.user_agent,
        allowed_hosts=work.settings.allowed_hosts | set(work.job.arguments.get("allow_hosts", ())),
        connections=work.settings.site_connections,
        delay_s=work.settings.site_delay_s,
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _ingest_path(work: Work) -> dict[str, Any]:
    from studio.collect.arrivals import ingest_path

    arguments = work.job.arguments
    report = ingest_path(
        path=Path(arguments["path"]), class_name=arguments.get("class_name"), **import_arguments(work)
    )
    return _counts(report)


def _ingest_uploads(work: Work) -> dict[str, Any]:
    import shutil

    from studio.collect.arrivals import ingest_uploads

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


def _ingest_drawings(work: Work) -> dict[str, Any]:
    from studio.collect.arrivals import ingest_drawings

    return _counts(ingest_drawings(seed=work.job.arguments["seed"], **import_arguments(work)))


def _ingest_codelab(work: Work) -> dict[str, Any]:
    from studio.collect.arrivals import ingest_codelab

    return _counts(ingest_codelab(downloads_dir=work.settings.downloads_dir, **import_arguments(work)))


def _ingest_crawl(work: Work) -> dict[str, Any]:
    from studio.collect.web.crawl import ingest_crawl
    from studio.collect.web.plan import Plan

    arguments = {key: value for key, value in work.job.arguments.items() if key != "allow_hosts"}
    return _counts(ingest_crawl(plan=Plan.of(arguments), visitor=fetcher_of(work), **import_arguments(work)))


def _ingest_web(work: Work) -> dict[str, Any]:
    from studio.collect.web.harvest import harvest

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


def _add_listed(work: Work) -> None:
    from studio.collect.address_lists import read_address_list
    from studio.collect.web import listed

    arguments = work.job.arguments
    found = read_address_list(Path(arguments["list_path"]))
    with work.database.write() as session:
        listed.add(session, work.project_id, work.job.id, found, arguments["class_name"], at=_now())


def _add_picked(work: Work) -> str:
    """Put what a person picked of a search's hits before the job; return the service that found them."""
    from studio.collect.web import frontier
    from studio.collect.web.hits import hits

    arguments = work.job.arguments
    picked = set(arguments["hit_ids"])
    with work.database.write() as session:
        search = queue.find(session, arguments["hits_of"])
        found = [hit for hit in hits(session, arguments["hits_of"]) if hit.id in picked]
        frontier.add(
            session,
            work.job.id,
            [
                frontier.Target(hit.address, "picture", 0, arguments["class_name"], hit.papers)
                for hit in found
            ],
        )
    return str(search.arguments["service"]) if search is not None else "search"


def _search(work: Work) -> dict[str, Any]:
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


KINDS: dict[str, Callable[[Work], dict[str, Any]]] = {
    "ingest_path": _ingest_path,
    "ingest_uploads": _ingest_uploads,
    "ingest_drawings": _ingest_drawings,
    "ingest_codelab": _ingest_codelab,
    "ingest_crawl": _ingest_crawl,
    "ingest_web": _ingest_web,
    "search": _search,
    **RETRAINING,
    **EXPORTING,
    **MODEL_EXPORTING,
    **ANSWERING,
    **SHARING,
    **curating.LOOKING,
}
INGESTING = {kind for kind in KINDS if kind.startswith("ingest_")}
ASKING = {"ingest_crawl", "ingest_web", "search", *SHARING}
"""Those that mostly wait for others' servers."""
LOOKING = set(curating.LOOKING)
"""Those that the studio asks for by itself."""
PACKING = {*EXPORTING, *ANSWERING}
"""Those that are soon done: they read and write files, or ask a model."""
