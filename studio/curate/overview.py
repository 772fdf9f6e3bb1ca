"""Overview of a project: its images by class, state, source, licence and split, and its open issues.

Rejected images count as rejected only.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session, aliased

from db.labelling import latest_operation_number
from db.models import AnalysisRow, DuplicateGroupRow, FindingRow, ImageRow, LabelRow, ProvenanceRow
from studio.curate.analysis_results import IMAGE_ISSUE_KINDS, LABEL_ISSUE, min_score, open_conditions
from studio.curate.items import ImageCounts, count_images
from studio.datasets.split_query import image_split
from studio.datasets.splits import SPLITS, Split, group_splits
from studio.images import near_duplicates
from studio.images.near_duplicates import DuplicateCounts
from studio.images.provenance import OWN_WORK_KINDS, VISITOR

OverviewVersion = tuple[int, int, str]
"""A value that changes with the data of an overview, duplicate groups excepted."""


@dataclass(frozen=True)
class Overview:
    """Counts of a project."""

    counts: ImageCounts
    """By class and by state."""
    by_source: Mapping[str, int]
    """By kind of provenance, most first; an image found in two ways counts in both."""
    by_licence: Mapping[str, int]
    """By the licence stated first, as it was named, most first."""
    own_work: int
    """Own images for which no licence is stated."""
    licence_unknown: int
    by_split: Mapping[Split, int]
    """Labelled images by split, as a run with default options splits them."""
    copies: DuplicateCounts
    findings: Mapping[str, int]
    """Open analysis results by kind: suggestion, doubtful, image issues."""
    marked_wrong: int
    """Unlabelled images from visitor feedback on a share link."""


def overview_version(session: Session, project_id: int) -> OverviewVersion:
    """Return the version of a project's data, for caching its overview."""
    places = select(func.count()).where(ProvenanceRow.project_id == project_id)
    analysed = session.scalar(select(func.max(AnalysisRow.at)).where(AnalysisRow.project_id == project_id))
    return (
        latest_operation_number(session, project_id),
        session.scalar(places) or 0,
        analysed.isoformat() if analysed else "",
    )


def overview(session: Session, project_id: int) -> Overview:
    """Return the overview of a project; 100,000 images take about 0.5 s.

    Duplicate groups can change without the `overview_version`, when images are compared again.
    """
    by_licence, own_work, unknown = _count_licences(session, project_id)
    return Overview(
        counts=count_images(session, project_id),
        by_source=_count_sources(session, project_id),
        by_licence=by_licence,
        own_work=own_work,
        licence_unknown=unknown,
        by_split=_count_splits(session, project_id),
        copies=near_duplicates.count_duplicates(session, project_id),
        findings=_count_open_results(session, project_id),
        marked_wrong=_count_visitor_feedback(session, project_id),
    )


def _count_sources(session: Session, project_id: int) -> dict[str, int]:
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


def _count_visitor_feedback(session: Session, project_id: int) -> int:
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


def _count_licences(session: Session, project_id: int) -> tuple[dict[str, int], int, int]:
    """Count as `Credit.credited` does: by the first stated licence, else own work, else unknown."""
    first = func.min(case((ProvenanceRow.licence != "", ProvenanceRow.id)))
    own = func.max(case((ProvenanceRow.kind.in_(OWN_WORK_KINDS), 1), else_=0))
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


def _count_splits(session: Session, project_id: int) -> dict[Split, int]:
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
    images = [(digest, cast(Split | None, given)) for given, digest in rows]
    # A split given with one image holds for its near-duplicates too.
    given_to = group_splits(images)
    found = Counter(image_split(given_to.get(digest), digest) for digest, _given in images)
    return {split: found[split] for split in SPLITS}


def _count_open_results(session: Session, project_id: int) -> dict[str, int]:
    counts = {}
    for kind in ("suggestion", LABEL_ISSUE, *IMAGE_ISSUE_KINDS):
        least = min_score(kind)
        counts[kind] = session.scalar(
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
                *open_conditions(kind, FindingRow, LabelRow),
            )
        )
    return {kind: number for kind, number in counts.items() if number}
