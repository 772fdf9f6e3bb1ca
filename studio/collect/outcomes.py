"""What became of every address and file that was offered to a project: counted, listed, written down."""

import csv
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from db import models
from studio.csv_cells import csv_cell
from studio.images import reasons as whys
from studio.images.reasons import SkipReason

COLUMNS = ("address", "page", "outcome", "reason", "sha256", "licence", "creator", "why", "site", "at")
COPY = "copy"
"""The reason of copies, beside the kinds of refusal."""
_ROWS = 1_000


@dataclass(frozen=True)
class SiteCounts:
    """What one site has given."""

    site: str
    """A host, a service."""
    added: int
    copies: int
    refused: int
    pages: int


@dataclass(frozen=True)
class Counts:
    """How many addresses and files came to what; by reason and by site, the most frequent first."""

    added: int
    copies: int
    refused: int
    pages: int
    """Those that were read and held no image of their own."""
    by_why: Mapping[str, int]
    """Those that gave no image, by the kind of refusal, or `COPY`."""
    by_site: tuple[SiteCounts, ...]

    @property
    def total(self) -> int:
        """All."""
        return self.added + self.copies + self.refused + self.pages


@dataclass(frozen=True)
class Reason:
    """An address or a file that gave no image, and why not. `id`: to go on after."""

    id: int
    address: str
    page_address: str
    outcome: str
    """copy or refused."""
    why: str
    """A kind of refusal, or `COPY`."""
    title: str
    """That in a few words."""
    reason: str
    """What happened to this one, in a sentence."""


def counts(session: Session, project_id: int, job_id: int | None = None) -> Counts:
    """Count what a project was offered, or one of its jobs."""
    find = models.IngestOutcomeRow
    outcomes: Counter[str] = Counter()
    by_why: Counter[str] = Counter()
    by_site: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for site, outcome, why, number in session.execute(
        select(find.site, find.outcome, find.why, func.count())
        .where(*_offered(project_id, job_id))
        .group_by(find.site, find.outcome, find.why)
    ):
        outcomes[outcome] += number
        if site:
            by_site[site][outcome] += number
        if outcome in {"copy", "refused"}:
            by_why[_kind(outcome, why)] += number
    sites = [
        SiteCounts(site, of["added"], of["copy"], of["refused"], of["page"]) for site, of in by_site.items()
    ]
    return Counts(
        outcomes["added"],
        outcomes["copy"],
        outcomes["refused"],
        outcomes["page"],
        dict(sorted(by_why.items(), key=lambda each: (-each[1], each[0]))),
        tuple(sorted(sites, key=lambda of: (-(of.added + of.copies + of.refused + of.pages), of.site))),
    )


def reasons(
    session: Session,
    project_id: int,
    job_id: int | None = None,
    *,
    why: str | None = None,
    limit: int,
    after_id: int = 0,
) -> tuple[Reason, ...]:
    """Return up to `limit` that gave no image, for one kind of reason or for all, in the order they came.

    after_id: the id of the last one before them.
    """
    find = models.IngestOutcomeRow
    rows = session.scalars(
        select(find)
        .where(*_offered(project_id, job_id), find.id > after_id, _for(why))
        .order_by(find.id)
        .limit(limit)
    )
    return tuple(
        Reason(row.id, row.name, row.page_address, row.outcome, kind, whys.title(kind), row.reason)
        for row in rows
        for kind in (_kind(row.outcome, row.why),)
    )


def sources_csv(session: Session, project_id: int, file: IO[str]) -> None:
    """Write a line for everything that a project was offered, under `COLUMNS`; times are in UTC.

    However many there are, a thousand at a time are in memory.
    """
    find, image, found, same = (
        models.IngestOutcomeRow,
        models.ImageRow,
        models.ProvenanceRow,
        models.ProvenanceRow.__table__.alias(),
    )
    # One address may have come in several ways: the first stands for all, or lines would be doubled.
    provenance = (
        select(func.min(same.c.id))
        .where(
            same.c.project_id == find.project_id,
            same.c.image_id == find.image_id,
            same.c.address == find.name,
        )
        .scalar_subquery()
    )
    rows = session.execute(
        select(
            find.name,
            find.page_address,
            find.outcome,
            find.reason,
            image.sha256,
            found.licence,
            found.creator,
            find.why,
            find.site,
            find.at,
        )
        .outerjoin(image, image.id == find.image_id)
        .outerjoin(found, found.id == provenance)
        .where(find.project_id == project_id)
        .order_by(find.id)
        .execution_options(yield_per=_ROWS)
    )
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for *texts, at in rows:
        writer.writerow([*(csv_cell(text or "") for text in texts), at.isoformat()])


def _offered(project_id: int, job_id: int | None) -> list[ColumnElement[bool]]:
    project = models.IngestOutcomeRow.project_id == project_id
    return [project] if job_id is None else [project, models.IngestOutcomeRow.job_id == job_id]


def _kind(outcome: str, why: str) -> str:
    return COPY if outcome == "copy" else why or SkipReason.OTHER.value


def _for(why: str | None) -> ColumnElement[bool]:
    find = models.IngestOutcomeRow
    if why is None:
        return find.outcome.in_(("copy", "refused"))
    if why == COPY:
        return find.outcome == "copy"
    # What came before kinds were kept has none.
    kind = or_(find.why == why, find.why == "") if why == SkipReason.OTHER else find.why == why
    return and_(find.outcome == "refused", kind)
