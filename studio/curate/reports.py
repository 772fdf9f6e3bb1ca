"""Reports as lists: label issues, and duplicates with the place where each was found."""

from collections import defaultdict
from typing import Literal, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from db.models import DuplicateGroupRow, FindingRow, ImageClassRow, ImageRow, LabelRow, ProvenanceRow
from studio.curate.analysis_results import LABEL_ISSUE, open_conditions


class ReportedLabelIssue(NamedTuple):
    """A judged label. score: 0 to 1, likely wrong from 0.5 on. The fields are the columns of the CSV file."""

    name: str
    """Where the image was found first."""
    sha256: str
    label: str
    suggested: str
    score: float


class ReportedDuplicate(NamedTuple):
    """A place of an image that has duplicates or several places. The fields are columns of the CSV file."""

    group: int
    name: str
    sha256: str
    label: str
    kind: Literal["exact", "near"]
    """exact: the same file as on another line of the group; near: nearly the same image."""
    keeper: bool
    """Whether it is the one to keep: the first place of the group's largest image."""


def report_label_issues(
    session: Session, project_id: int, limit: int | None = None
) -> list[ReportedLabelIssue]:
    """Return the judged labels that nobody has labelled anew since, the likeliest wrong first."""
    own, other = aliased(ImageClassRow), aliased(ImageClassRow)
    rows = session.execute(
        select(ImageRow.id, ImageRow.sha256, own.name, other.name, FindingRow.score)
        .join(
            LabelRow,
            (LabelRow.project_id == FindingRow.project_id) & (LabelRow.image_id == FindingRow.image_id),
        )
        .join(ImageRow, ImageRow.id == FindingRow.image_id)
        .join(own, own.id == LabelRow.class_id)
        .join(other, other.id == FindingRow.class_id)
        .where(
            FindingRow.project_id == project_id,
            FindingRow.kind == LABEL_ISSUE,
            other.removed_at.is_(None),
            *open_conditions(LABEL_ISSUE, FindingRow, LabelRow),
        )
        .order_by(FindingRow.score.desc(), ImageRow.id)
        .limit(limit)
    ).all()
    names = _addresses(session, project_id)
    return [
        ReportedLabelIssue(names.get(image_id, [sha256])[0], sha256, label, suggested, score)
        for image_id, sha256, label, suggested, score in rows
    ]


def report_duplicates(session: Session, project_id: int) -> list[ReportedDuplicate]:
    """Return every place of the images that have duplicates, by group, the keeper first.

    Rejected images are left out, and so are images that then have no duplicate.
    """
    rows = session.execute(
        select(
            DuplicateGroupRow.group_id,
            ImageRow.id,
            ImageRow.sha256,
            ImageClassRow.name,
        )
        .select_from(LabelRow)
        .join(ImageRow, ImageRow.id == LabelRow.image_id)
        .outerjoin(ImageClassRow, ImageClassRow.id == LabelRow.class_id)
        .outerjoin(
            DuplicateGroupRow,
            (DuplicateGroupRow.project_id == LabelRow.project_id)
            & (DuplicateGroupRow.image_id == LabelRow.image_id),
        )
        .where(LabelRow.project_id == project_id, LabelRow.state != "rejected")
        # As in `studio.images.near_duplicates`: the keeper comes first.
        .order_by((ImageRow.width_px * ImageRow.height_px).desc(), ImageRow.size_bytes.desc(), ImageRow.id)
    )
    names = _addresses(session, project_id)
    groups: dict[int, list[tuple[str, str, str, bool]]] = defaultdict(list)
    for group_id, image_id, sha256, label in rows:
        for at, name in enumerate(names.get(image_id, [sha256])):
            groups[image_id if group_id is None else group_id].append((name, sha256, label or "", at == 0))
    found = []
    for group_id in sorted(groups):
        places = groups[group_id]
        alone = len({sha256 for _name, sha256, _label, _first in places}) == 1
        if len(places) > 1:
            found += [
                ReportedDuplicate(
                    group_id, name, sha256, label, "exact" if alone or not first else "near", at == 0
                )
                for at, (name, sha256, label, first) in enumerate(places)
            ]
    return found


def _addresses(session: Session, project_id: int) -> dict[int, list[str]]:
    """Return the addresses where each image was found, by image id, the first first."""
    rows = session.connection().execute(
        select(ProvenanceRow.image_id, ProvenanceRow.address)
        .where(ProvenanceRow.project_id == project_id)
        .order_by(ProvenanceRow.id)
    )
    names: dict[int, dict[str, None]] = defaultdict(dict)
    for image_id, address in rows:
        names[image_id][address] = None
    return {image_id: list(of_image) for image_id, of_image in names.items()}
