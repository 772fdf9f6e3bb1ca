"""The addresses that a job is to ask and has asked, in the database: what it goes on from after a kill."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Literal

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db import models
from db.upsert import insert_ignoring
from db.web_models import WebAddress
from studio.collect import entry
from studio.collect.entry import Find, Noted
from studio.collect.sources import Papers
from studio.collect.web.addresses import site

_CHUNK = 500  # SQLite allows a statement 999 variables in its older builds


@dataclass(frozen=True)
class Target:
    """An address to ask."""

    address: str
    kind: Literal["page", "picture"]
    depth: int = 0
    """How many links away from where the job began."""
    class_name: str | None = None
    papers: Papers = field(default_factory=Papers)

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
            "papers": {name: value for name, value in asdict(target.papers).items() if value},
        }
        for target in targets
    ]
    insert_ignoring(session, WebAddress, rows)


def settle(session: Session, job_id: int) -> None:
    """Count as done every address of which it is written what became of it."""
    written = select(models.Find.name).where(models.Find.job_id == job_id)
    session.execute(
        update(WebAddress)
        .where(WebAddress.job_id == job_id, WebAddress.state == "waiting", WebAddress.address.in_(written))
        .values(state="done")
    )


def waiting(session: Session, job_id: int) -> list[Target]:
    """Return all addresses that wait, in the order in which they came."""
    row = WebAddress
    rows = session.execute(
        select(row.address, row.kind, row.depth, row.class_name, row.papers)
        .where(row.job_id == job_id, row.state == "waiting")
        .order_by(row.id)
    )
    return [
        Target(address, kind, depth, class_name, Papers(**papers))
        for address, kind, depth, class_name, papers in rows
    ]


def known(session: Session, job_id: int) -> set[str]:
    """Return every address that the job has ever known, with those it was only told of."""
    named = select(WebAddress.address).where(WebAddress.job_id == job_id)
    found = select(models.Find.name).where(models.Find.job_id == job_id)
    return {*session.scalars(named), *session.scalars(found)}


def pages_asked(session: Session, job_id: int) -> int:
    """Return how many pages the job has asked for."""
    row = WebAddress
    wanted = row.job_id == job_id, row.kind == "page", row.state == "done"
    return session.scalar(select(func.count()).where(*wanted)) or 0


def pictures_found(session: Session, job_id: int) -> tuple[int, int]:
    """Return of how many addresses, pages aside, it is written what became, and how many were added."""
    find = models.Find
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
    finds: Sequence[tuple[Find, str]],
    *,
    at: datetime,
) -> None:
    """Write what became of addresses that gave no picture, each with the page that named it."""
    noted = (
        Noted(find, page_address, site(find.name) if "://" in find.name else "")
        for find, page_address in finds
    )
    entry.note(session, project_id, job_id, noted, at=at)


def done(session: Session, job_id: int, addresses: Sequence[str]) -> None:
    """Mark addresses as asked."""
    for start in range(0, len(addresses), _CHUNK):
        session.execute(
            update(WebAddress)
            .where(WebAddress.job_id == job_id, WebAddress.address.in_(addresses[start : start + _CHUNK]))
            .values(state="done")
        )
