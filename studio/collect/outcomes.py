"""Outcomes of imports: count them, list the skipped files and URLs, and export all as CSV."""

import csv
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from db import models
from studio.csv_cells import csv_cell
from studio.images.skip_reasons import SkipReason, skip_reason_title

COLUMNS = ("address", "page", "outcome", "reason", "sha256", "licence", "creator", "why", "site", "at")
DUPLICATE = "copy"
"""The skip reason of duplicates, beside those of SkipReason."""
_ROWS = 1_000


@dataclass(frozen=True)
class SiteCounts:
    """Outcome counts of one site."""

    site: str
    """A host, or a search service."""
    added: int
    duplicates: int
    skipped: int
    pages: int

    @property
    def total(self) -> int:
        """Return the number of all outcomes."""
        return self.added + self.duplicates + self.skipped + self.pages


@dataclass(frozen=True)
class OutcomeCounts:
    """Counts of files and URLs by outcome, skip reason and site; the most frequent first."""

    added: int
    duplicates: int
    skipped: int
    pages: int
    """Pages that were read."""
    by_reason: Mapping[str, int]
    """Counts of outcomes without an image, by skip reason or `DUPLICATE`."""
    by_site: tuple[SiteCounts, ...]

    @property
    def total(self) -> int:
        """Return the number of all outcomes."""
        return self.added + self.duplicates + self.skipped + self.pages

    def to_json(self) -> dict[str, Any]:
        """Return the counts under the keys of `sources --json`."""
        return {
            "total": self.total,
            "added": self.added,
            "copies": self.duplicates,
            "refused": self.skipped,
            "pages": self.pages,
            "by_why": dict(self.by_reason),
            "by_site": [
                {
                    "site": site.site,
                    "added": site.added,
                    "copies": site.duplicates,
                    "refused": site.skipped,
                    "pages": site.pages,
                }
                for site in self.by_site
            ],
        }


@dataclass(frozen=True)
class SkippedItem:
    """A file or URL that added no image. `id`: for `after_id` of the next request."""

    id: int
    name: str
    """The path or URL."""
    page_url: str
    outcome: str
    """copy (a duplicate) or refused (skipped)."""
    skip_reason: str
    """One of SkipReason, or `DUPLICATE`."""
    title: str
    """The skip reason in a few words."""
    message: str
    """The reason for this item in one sentence."""


def count_outcomes(session: Session, project_id: int, job_id: int | None = None) -> OutcomeCounts:
    """Count the outcomes of a project's imports, or of one job."""
    row = models.IngestOutcomeRow
    outcomes: Counter[str] = Counter()
    by_reason: Counter[str] = Counter()
    by_site: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for site, outcome, why, number in session.execute(
        select(row.site, row.outcome, row.skip_reason, func.count())
        .where(*_in_scope(project_id, job_id))
        .group_by(row.site, row.outcome, row.skip_reason)
    ):
        outcomes[outcome] += number
        if site:
            by_site[site][outcome] += number
        if outcome in {"copy", "refused"}:
            by_reason[_reason_of(outcome, why)] += number
    sites = [
        SiteCounts(site, counts["added"], counts["copy"], counts["refused"], counts["page"])
        for site, counts in by_site.items()
    ]
    return OutcomeCounts(
        outcomes["added"],
        outcomes["copy"],
        outcomes["refused"],
        outcomes["page"],
        dict(sorted(by_reason.items(), key=lambda item: (-item[1], item[0]))),
        tuple(sorted(sites, key=lambda counts: (-counts.total, counts.site))),
    )


def skipped_items(
    session: Session,
    project_id: int,
    job_id: int | None = None,
    *,
    skip_reason: str | None = None,
    limit: int,
    after_id: int = 0,
) -> tuple[SkippedItem, ...]:
    """Return up to `limit` files and URLs that added no image, in the order of import.

    skip_reason: one of SkipReason or `DUPLICATE`; None: all. after_id: the last id of the page before.
    """
    row = models.IngestOutcomeRow
    rows = session.scalars(
        select(row)
        .where(*_in_scope(project_id, job_id), row.id > after_id, _has_reason(skip_reason))
        .order_by(row.id)
        .limit(limit)
    )
    return tuple(
        SkippedItem(
            each.id,
            each.name,
            each.page_address,
            each.outcome,
            reason,
            skip_reason_title(reason),
            each.reason,
        )
        for each in rows
        for reason in (_reason_of(each.outcome, each.skip_reason),)
    )


def write_outcomes_csv(session: Session, project_id: int, file: IO[str]) -> None:
    """Write a row of `COLUMNS` for every file and URL that was to be imported; times are in UTC.

    A thousand rows at a time are in memory.
    """
    row, image, provenance, same_name = (
        models.IngestOutcomeRow,
        models.ImageRow,
        models.ProvenanceRow,
        models.ProvenanceRow.__table__.alias(),
    )
    # One name may have several provenance rows: join only the first, or rows would be duplicated.
    first_id = (
        select(func.min(same_name.c.id))
        .where(
            same_name.c.project_id == row.project_id,
            same_name.c.image_id == row.image_id,
            same_name.c.address == row.name,
        )
        .scalar_subquery()
    )
    rows = session.execute(
        select(
            row.name,
            row.page_address,
            row.outcome,
            row.reason,
            image.sha256,
            provenance.licence,
            provenance.creator,
            row.skip_reason,
            row.site,
            row.at,
        )
        .outerjoin(image, image.id == row.image_id)
        .outerjoin(provenance, provenance.id == first_id)
        .where(row.project_id == project_id)
        .order_by(row.id)
        .execution_options(yield_per=_ROWS)
    )
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for *texts, at in rows:
        writer.writerow([*(csv_cell(text or "") for text in texts), at.isoformat()])


def _in_scope(project_id: int, job_id: int | None) -> list[ColumnElement[bool]]:
    project = models.IngestOutcomeRow.project_id == project_id
    return [project] if job_id is None else [project, models.IngestOutcomeRow.job_id == job_id]


def _reason_of(outcome: str, why: str) -> str:
    return DUPLICATE if outcome == "copy" else why or SkipReason.OTHER.value


def _has_reason(skip_reason: str | None) -> ColumnElement[bool]:
    row = models.IngestOutcomeRow
    if skip_reason is None:
        return row.outcome.in_(("copy", "refused"))
    if skip_reason == DUPLICATE:
        return row.outcome == "copy"
    # Rows written before skip reasons existed have none.
    is_reason = row.skip_reason == skip_reason
    if skip_reason == SkipReason.OTHER:
        is_reason = or_(is_reason, row.skip_reason == "")
    return and_(row.outcome == "refused", is_reason)
