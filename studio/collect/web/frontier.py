"""The addresses that a job is to ask and has asked, in the database: what it goes on from after a kill."""

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
from studio.collect.address_lists import AddressList
from studio.collect.ingest_rows import IngestOutcome, RecordedOutcome
from studio.collect.web.urls import site
from studio.i18n import _
from studio.images.provenance import Provenance
from studio.images.reasons import SkipReason

_CHUNK = 500  # SQLite allows a statement 999 variables in its older builds


@dataclass(frozen=True)
class Target:
    """An address to ask."""

    address: str
    kind: Literal["page", "picture"]
    depth: int = 0
    """How many links away from where the job began."""
    class_name: str | None = None
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def site(self) -> str:
        """Whom it is asked of."""
        return site(self.address)


def add(session: Session, job_id: int, targets: Iterable[Target]) -> None:
    """Put addresses behind those that wait; one that the job knows already is left as it is."""
    rows = [
        {
            "job_id": job_id,
            "address": target.address,
            "kind": target.kind,
            "depth": target.depth,
            "state": "waiting",
            "class_name": target.class_name,
            "provenance": {name: value for name, value in asdict(target.provenance).items() if value},
        }
        for target in targets
    ]
    insert_ignoring(session, FrontierRow, rows)


def settle(session: Session, job_id: int) -> None:
    """Count as done every address of which it is written what became of it."""
    written = select(models.IngestOutcomeRow.name).where(models.IngestOutcomeRow.job_id == job_id)
    session.execute(
        update(FrontierRow)
        .where(FrontierRow.job_id == job_id, FrontierRow.state == "waiting", FrontierRow.address.in_(written))
        .values(state="done")
    )


def waiting(session: Session, job_id: int) -> list[Target]:
    """Return all addresses that wait, in the order in which they came."""
    row = FrontierRow
    rows = session.execute(
        select(row.address, row.kind, row.depth, row.class_name, row.provenance)
        .where(row.job_id == job_id, row.state == "waiting")
        .order_by(row.id)
    )
    return [
        Target(address, kind, depth, class_name, Provenance(**provenance))
        for address, kind, depth, class_name, provenance in rows
    ]


def known(session: Session, job_id: int) -> set[str]:
    """Return every address that the job has ever known, with those it was only told of."""
    named = select(FrontierRow.address).where(FrontierRow.job_id == job_id)
    found = select(models.IngestOutcomeRow.name).where(models.IngestOutcomeRow.job_id == job_id)
    return {*session.scalars(named), *session.scalars(found)}


def pages_asked(session: Session, job_id: int) -> int:
    """Return how many pages the job has asked for."""
    row = FrontierRow
    wanted = row.job_id == job_id, row.kind == "page", row.state == "done"
    return session.scalar(select(func.count()).where(*wanted)) or 0


def images_found(session: Session, job_id: int) -> tuple[int, int]:
    """Return of how many addresses, pages aside, it is written what became, and how many were added."""
    find = models.IngestOutcomeRow
    rows = session.execute(
        select(find.outcome, func.count())
        .where(find.job_id == job_id, find.outcome != "page")
        .group_by(find.outcome)
    )
    counts = dict(rows.all())
    return sum(counts.values()), counts.get("added", 0)


def note(
    session: Session,
    project_id: int,
    job_id: int,
    finds: Sequence[tuple[IngestOutcome, str]],
    *,
    at: datetime,
) -> None:
    """Write what became of addresses that gave no image, each with the page that named it."""
    noted = (
        RecordedOutcome(find, page_address, site(find.name) if "://" in find.name else "")
        for find, page_address in finds
    )
    ingest_rows.write_outcomes(session, project_id, job_id, noted, at=at)


def done(session: Session, job_id: int, addresses: Sequence[str]) -> None:
    """Mark addresses as asked."""
    for start in range(0, len(addresses), _CHUNK):
        session.execute(
            update(FrontierRow)
            .where(FrontierRow.job_id == job_id, FrontierRow.address.in_(addresses[start : start + _CHUNK]))
            .values(state="done")
        )


@dataclass(frozen=True)
class Kept:
    """An earlier answer: its tags, and the image or the page's reading that they stand for."""

    address: str
    etag: str
    last_modified: str
    sha256: str | None = None
    format: str = ""
    """The image's, as in the database."""
    reading: Mapping[str, Any] | None = None


def recall(session: Session, addresses: Sequence[str]) -> dict[str, Kept]:
    """Return what is kept of these addresses, by address; of images only what the database still has."""
    row, image = CachedAnswerRow, models.ImageRow
    kept = {}
    for start in range(0, len(addresses), _CHUNK):
        rows = session.execute(
            select(row.address, row.etag, row.last_modified, row.sha256, image.format, row.reading)
            .outerjoin(image, image.sha256 == row.sha256)
            .where(row.address.in_(addresses[start : start + _CHUNK]))
        )
        for address, etag, last_modified, sha256, format_name, reading in rows:
            if format_name is not None or reading is not None:
                kept[address] = Kept(address, etag, last_modified, sha256, format_name or "", reading)
    return kept


def keep(session: Session, answers: Sequence[Kept], at: datetime) -> None:
    """Put these answers in place of earlier ones."""
    newest = {answer.address: answer for answer in answers}
    addresses = list(newest)
    for start in range(0, len(addresses), _CHUNK):
        chunk = addresses[start : start + _CHUNK]
        session.execute(delete(CachedAnswerRow).where(CachedAnswerRow.address.in_(chunk)))
        session.execute(
            insert(CachedAnswerRow),
            [
                {
                    "address": address,
                    "etag": newest[address].etag,
                    "last_modified": newest[address].last_modified,
                    "sha256": newest[address].sha256,
                    "reading": newest[address].reading,
                    "at": at,
                }
                for address in chunk
            ],
        )


def add_listed(
    session: Session,
    project_id: int,
    job_id: int,
    found: AddressList,
    class_name: str | None,
    *,
    at: datetime,
) -> None:
    """Put a list's addresses behind those that wait for a job, and write of its other parts why not.

    class_name: of what the list gives none. Done twice, it changes nothing.
    """
    targets = (
        Target(entry.address, "picture", 0, entry.class_name or class_name, entry.provenance)
        for entry in found.entries
    )
    add(session, job_id, targets)
    finds = {}
    for line in found.refused:
        name = _("line {number}: {text}").format(number=line.line, text=line.text)
        finds[name] = (IngestOutcome(name, "refused", line.reason, SkipReason.ADDRESS), "")
    note(session, project_id, job_id, list(finds.values()), at=at)
