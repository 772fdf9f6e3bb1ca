"""Frontier: the URLs that a job has to fetch and has fetched, kept in the database so that it can resume.

Also the cache of earlier responses, by URL.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from db import models
from db.engine import insert_ignoring
from db.models import CachedAnswerRow, FrontierRow
from studio.collect import ingest_rows
from studio.collect.ingest_rows import IngestOutcome, RecordedOutcome
from studio.collect.url_lists import UrlList
from studio.collect.web.urls import site_of
from studio.i18n import _
from studio.images.provenance import Provenance
from studio.images.skip_reasons import SkipReason

_CHUNK = 500  # SQLite allows a statement 999 variables in its older builds


@dataclass(frozen=True)
class FrontierItem:
    """A URL to fetch."""

    url: str
    kind: Literal["page", "picture"]
    """The stored word for an image is picture."""
    depth: int = 0
    """Links away from the start URLs."""
    class_name: str | None = None
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def site(self) -> str:
        """The host, with its port if that is not the default one."""
        return site_of(self.url)


def add_items(session: Session, job_id: int, items: Iterable[FrontierItem]) -> None:
    """Append URLs to a job's frontier; those that it has already stay unchanged."""
    rows = [
        {
            "job_id": job_id,
            "address": item.url,
            "kind": item.kind,
            "depth": item.depth,
            "state": "waiting",
            "class_name": item.class_name,
            "provenance": {name: value for name, value in asdict(item.provenance).items() if value},
        }
        for item in items
    ]
    insert_ignoring(session, FrontierRow, rows)


def mark_recorded_done(session: Session, job_id: int) -> None:
    """Mark as done every URL whose outcome is recorded."""
    written = select(models.IngestOutcomeRow.name).where(models.IngestOutcomeRow.job_id == job_id)
    session.execute(
        update(FrontierRow)
        .where(FrontierRow.job_id == job_id, FrontierRow.state == "waiting", FrontierRow.address.in_(written))
        .values(state="done")
    )


def waiting_items(session: Session, job_id: int) -> list[FrontierItem]:
    """Return all waiting items in the order in which they were added."""
    row = FrontierRow
    rows = session.execute(
        select(row.address, row.kind, row.depth, row.class_name, row.provenance)
        .where(row.job_id == job_id, row.state == "waiting")
        .order_by(row.id)
    )
    return [
        FrontierItem(url, kind, depth, class_name, Provenance(**provenance))
        for url, kind, depth, class_name, provenance in rows
    ]


def known_urls(session: Session, job_id: int) -> set[str]:
    """Return every URL that the job has in its frontier or has an outcome for."""
    added = select(FrontierRow.address).where(FrontierRow.job_id == job_id)
    recorded = select(models.IngestOutcomeRow.name).where(models.IngestOutcomeRow.job_id == job_id)
    return {*session.scalars(added), *session.scalars(recorded)}


def pages_fetched(session: Session, job_id: int) -> int:
    """Return the number of pages that the job has fetched."""
    row = FrontierRow
    fetched = row.job_id == job_id, row.kind == "page", row.state == "done"
    return session.scalar(select(func.count()).where(*fetched)) or 0


def image_counts(session: Session, job_id: int) -> tuple[int, int]:
    """Return the number of recorded outcomes without pages, and of those the added images."""
    row = models.IngestOutcomeRow
    rows = session.execute(
        select(row.outcome, func.count())
        .where(row.job_id == job_id, row.outcome != "page")
        .group_by(row.outcome)
    )
    counts = dict(rows.all())
    return sum(counts.values()), counts.get("added", 0)


def record_outcomes(
    session: Session,
    project_id: int,
    job_id: int,
    outcomes: Sequence[tuple[IngestOutcome, str]],
    *,
    at: datetime,
) -> None:
    """Write outcomes of URLs that gave no image, each with the URL of the page that refers to it."""
    recorded = (
        RecordedOutcome(outcome, page_url, site_of(outcome.name) if "://" in outcome.name else "")
        for outcome, page_url in outcomes
    )
    ingest_rows.write_outcomes(session, project_id, job_id, recorded, at=at)


def mark_done(session: Session, job_id: int, urls: Sequence[str]) -> None:
    """Mark URLs as fetched."""
    for start in range(0, len(urls), _CHUNK):
        session.execute(
            update(FrontierRow)
            .where(FrontierRow.job_id == job_id, FrontierRow.address.in_(urls[start : start + _CHUNK]))
            .values(state="done")
        )


@dataclass(frozen=True)
class CachedResponse:
    """An earlier response: its validators, and the image or the parsed page that they belong to."""

    url: str
    etag: str
    last_modified: str
    sha256: str | None = None
    format: str = ""
    """Format of the image, as in the database."""
    page: Mapping[str, Any] | None = None


def load_cached(session: Session, urls: Sequence[str]) -> dict[str, CachedResponse]:
    """Return the cached responses of these URLs, by URL; of images only those still in the database."""
    row, image = CachedAnswerRow, models.ImageRow
    cached = {}
    for start in range(0, len(urls), _CHUNK):
        rows = session.execute(
            select(row.address, row.etag, row.last_modified, row.sha256, image.format, row.reading)
            .outerjoin(image, image.sha256 == row.sha256)
            .where(row.address.in_(urls[start : start + _CHUNK]))
        )
        for url, etag, last_modified, sha256, format_name, page in rows:
            if format_name is not None or page is not None:
                cached[url] = CachedResponse(url, etag, last_modified, sha256, format_name or "", page)
    return cached


def cache_responses(session: Session, responses: Sequence[CachedResponse], at: datetime) -> None:
    """Store responses in place of earlier ones of the same URLs."""
    newest = {response.url: response for response in responses}
    urls = list(newest)
    for start in range(0, len(urls), _CHUNK):
        chunk = urls[start : start + _CHUNK]
        session.execute(delete(CachedAnswerRow).where(CachedAnswerRow.address.in_(chunk)))
        session.execute(
            insert(CachedAnswerRow),
            [
                {
                    "address": url,
                    "etag": newest[url].etag,
                    "last_modified": newest[url].last_modified,
                    "sha256": newest[url].sha256,
                    "reading": newest[url].page,
                    "at": at,
                }
                for url in chunk
            ],
        )


def add_url_list(
    session: Session,
    project_id: int,
    job_id: int,
    url_list: UrlList,
    class_name: str | None,
    *,
    at: datetime,
) -> None:
    """Append the URLs of a list to a job's frontier, and record its other parts as skipped.

    class_name: for URLs without a class in the list. A repeated call changes nothing.
    """
    items = (
        FrontierItem(entry.url, "picture", 0, entry.class_name or class_name, entry.provenance)
        for entry in url_list.entries
    )
    add_items(session, job_id, items)
    outcomes = {}
    for line in url_list.skipped:
        name = _("line {number}: {text}").format(number=line.line, text=line.text)
        outcomes[name] = (IngestOutcome(name, "refused", line.message, SkipReason.ADDRESS), "")
    record_outcomes(session, project_id, job_id, list(outcomes.values()), at=at)
