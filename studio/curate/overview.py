"""What a project is made of: its images by class, state, source, licence and split, and what wants a look.

Rejected images count as rejected and nowhere else.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session, aliased

from db.labelling import newest_number
from db.models import AnalysisRow, DuplicateGroupRow, FindingRow, ImageRow, LabelRow, ProvenanceRow
from studio.curate.findings import ODD, is_open, least_score
from studio.curate.items import Counts, counts
from studio.datasets.split_query import side_of
from studio.datasets.splits import SPLITS, Split, given_of_groups
from studio.images import near_duplicates
from studio.images.near_duplicates import DuplicateCounts
from studio.images.provenance import OWN, VISITOR

Stamp = tuple[int, int, str]
"""Changes whenever what `overview` returns can be something else, groups of copies aside."""


@dataclass(frozen=True)
class Overview:
    """A project at a glance."""

    counts: Counts
    """By class and by state."""
    by_source: Mapping[str, int]
    """By kind of provenance, most first; an image that came in two ways counts in both."""
    by_licence: Mapping[str, int]
    """By the licence that was stated first, as it was named, most first."""
    own_work: int
    """Images of one's own for which no licence is stated."""
    licence_unknown: int
    by_split: Mapping[Split, int]
    """Labelled images, as a retraining with its defaults deals them out."""
    copies: DuplicateCounts
    findings: Mapping[str, int]
    """What the studio found and nobody has answered, by kind: suggestion, doubtful, and what is odd."""
    marked_wrong: int
    """Images that visitors of a link left, because the answer was wrong, and nobody has labelled since."""


def stamp(session: Session, project_id: int) -> Stamp:
    """Return what tells one state of a project from another, for whoever keeps an overview of it."""
    places = select(func.count()).where(ProvenanceRow.project_id == project_id)
    studied = session.scalar(select(func.max(AnalysisRow.at)).where(AnalysisRow.project_id == project_id))
    return (
        newest_number(session, project_id),
        session.scalar(places) or 0,
        studied.isoformat() if studied else "",
    )


def overview(session: Session, project_id: int) -> Overview:
    """Look over a project; 100,000 images take about half a second.

    Groups of copies can change without the project's `stamp`, when images are compared anew.
    """
    by_licence, own_work, unknown = _licences(session, project_id)
    return Overview(
        counts=counts(session, project_id),
        by_source=_sources(session, project_id),
        by_licence=by_licence,
        own_work=own_work,
        licence_unknown=unknown,
        by_split=_splits(session, project_id),
        copies=near_duplicates.count_duplicates(session, project_id),
        findings=_findings(session, project_id),
        marked_wrong=_marked_wrong(session, project_id),
    )


def _sources(session: Session, project_id: int) -> dict[str, int]:
    images = func.count(ProvenanceRow.image_id.distinct())
    rows = session.execute(
        select(ProvenanceRow.kind, images)
        .join(
            LabelRow,
            (LabelRow.project_id == ProvenanceRow.project_id) & (LabelRow.image_id == ProvenanceRow.image_id),
        )
        .where(ProvenanceRow.project_id == project_id, LabelRow.state != "rejected")
        .group_by(ProvenanceRow.kind)
        .order_by(images.desc(), ProvenanceRow.kind)
    )
    return dict(rows.all())


def _marked_wrong(session: Session, project_id: int) -> int:
    found = session.scalar(
        select(func.count(ProvenanceRow.image_id.distinct()))
        .join(
            LabelRow,
            (LabelRow.project_id == ProvenanceRow.project_id) & (LabelRow.image_id == ProvenanceRow.image_id),
        )
        .where(
            ProvenanceRow.project_id == project_id,
            ProvenanceRow.kind == VISITOR,
            LabelRow.state == "unlabelled",
        )
    )
    return found or 0


def _licences(session: Session, project_id: int) -> tuple[dict[str, int], int, int]:
    """Count as `Credit.credited` does: the first place that states a licence, else own work, else unknown."""
    first = func.min(case((ProvenanceRow.licence != "", ProvenanceRow.id)))
    own = func.max(case((ProvenanceRow.kind.in_(OWN), 1), else_=0))
    of_image = (
        select(ProvenanceRow.image_id, first.label("first"), own.label("own"))
        .where(ProvenanceRow.project_id == project_id)
        .group_by(ProvenanceRow.image_id)
        .subquery()
    )
    stated = aliased(ProvenanceRow)
    rows = session.execute(
        select(stated.licence, of_image.c.own, func.count())
        .select_from(LabelRow)
        .outerjoin(of_image, of_image.c.image_id == LabelRow.image_id)
        .outerjoin(stated, stated.id == of_image.c.first)
        .where(LabelRow.project_id == project_id, LabelRow.state != "rejected")
        .group_by(stated.licence, of_image.c.own)
    )
    by_licence: Counter[str] = Counter()
    own_work = unknown = 0
    for licence, is_own, number in rows:
        if licence:
            by_licence[licence] += number
        elif is_own:
            own_work += number
        else:
            unknown += number
    ordered = sorted(by_licence.items(), key=lambda each: (-each[1], each[0]))
    return dict(ordered), own_work, unknown


def _splits(session: Session, project_id: int) -> dict[Split, int]:
    first = func.coalesce(DuplicateGroupRow.group_id, LabelRow.image_id)
    rows = session.execute(
        select(LabelRow.split, ImageRow.sha256)
        .outerjoin(
            DuplicateGroupRow,
            (DuplicateGroupRow.project_id == LabelRow.project_id)
            & (DuplicateGroupRow.image_id == LabelRow.image_id),
        )
        .join(ImageRow, ImageRow.id == first)
        .where(LabelRow.project_id == project_id, LabelRow.state == "labelled")
    )
    dealt = [(digest, cast(Split | None, given)) for given, digest in rows]
    # What came with one image holds for its near copies too.
    given_to = given_of_groups(dealt)
    found = Counter(side_of(given_to.get(digest), digest) for digest, _given in dealt)
    return {split: found[split] for split in SPLITS}


def _findings(session: Session, project_id: int) -> dict[str, int]:
    found = {}
    for kind in ("suggestion", "doubtful", *ODD):
        least = least_score(kind)
        found[kind] = session.scalar(
            select(func.count())
            .select_from(FindingRow)
            .join(
                LabelRow,
                (LabelRow.project_id == FindingRow.project_id) & (LabelRow.image_id == FindingRow.image_id),
            )
            .where(
                FindingRow.project_id == project_id,
                FindingRow.kind == kind,
                LabelRow.state != "rejected",
                *([] if least is None else [FindingRow.score >= least]),
                *is_open(kind, FindingRow, LabelRow),
            )
        )
    return {kind: number for kind, number in found.items() if number}
