"""What searches have found, as it is kept to be looked at."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.web_models import SearchHit
from studio.collect.sources import Papers


@dataclass(frozen=True)
class FoundHit:
    """A hit as it was kept."""

    id: int
    position: int
    """Its place among the hits of its search, from 0; some may be missing."""
    phrase: str
    address: str
    preview: str
    """The name of its small copy; empty where there is none."""
    width_px: int | None
    height_px: int | None
    papers: Papers


def hits(session: Session, job_id: int) -> tuple[FoundHit, ...]:
    """Return what a search has found so far, in order."""
    row = SearchHit
    rows = session.scalars(select(row).where(row.job_id == job_id).order_by(row.position, row.id))
    return tuple(map(_found, rows))


def hit(session: Session, hit_id: int) -> FoundHit | None:
    """Return one hit."""
    row = session.get(SearchHit, hit_id)
    return None if row is None else _found(row)


def _found(row: SearchHit) -> FoundHit:
    return FoundHit(
        row.id,
        row.position,
        row.phrase,
        row.address,
        row.preview,
        row.width_px,
        row.height_px,
        Papers(**row.papers),
    )
