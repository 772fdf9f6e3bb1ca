"""Groups of images that are nearly the same: who is in which, and how groups grow and merge."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from db.models import DuplicateGroupRow

_CHUNK = 500  # SQLite allows a statement 999 variables in its older builds


class Membership(NamedTuple):
    """An image's group, and how it came there: hash or bottleneck."""

    group_id: int
    found_by: str


def memberships(session: Session, project_id: int) -> dict[int, Membership]:
    """Return every grouped image of the project, by image id."""
    rows = session.execute(
        select(DuplicateGroupRow.image_id, DuplicateGroupRow.group_id, DuplicateGroupRow.found_by).where(
            DuplicateGroupRow.project_id == project_id
        )
    )
    return {image_id: Membership(group_id, found_by) for image_id, group_id, found_by in rows}


def join(session: Session, project_id: int, pairs: Sequence[tuple[int, int]]) -> None:
    """Put the two images of each pair, found by their hashes, into one group.

    pairs: image ids, the one that was in the project first standing first. Two groups that meet become one
    under the lower of their ids.
    """
    if not pairs:
        return
    groups = _groups_of(session, project_id, sorted({image_id for pair in pairs for image_id in pair}))
    before = dict(groups)
    absorbed: dict[int, int] = {}
    for first, second in pairs:
        met = {groups[image_id] for image_id in (first, second) if image_id in groups}
        into = min(met, default=first)
        groups[first] = groups[second] = into
        for group_id in met - {into}:
            absorbed[group_id] = into
            groups.update({image_id: into for image_id, other in groups.items() if other == group_id})
    for group_id, into in absorbed.items():
        # Its members that no pair names come along. In the order of merging, so that chains arrive.
        session.execute(
            update(DuplicateGroupRow)
            .where(DuplicateGroupRow.project_id == project_id, DuplicateGroupRow.group_id == group_id)
            .values(group_id=into)
        )
    _insert(
        session,
        project_id,
        {image_id: Membership(g, "hash") for image_id, g in groups.items() if image_id not in before},
    )


def replace(session: Session, project_id: int, wanted: Mapping[int, Membership]) -> None:
    """Make the project's groups those of `wanted`; only rows that differ are touched."""
    now = memberships(session, project_id)
    changed = [image_id for image_id, membership in now.items() if wanted.get(image_id) != membership]
    for start in range(0, len(changed), _CHUNK):
        session.execute(
            delete(DuplicateGroupRow).where(
                DuplicateGroupRow.project_id == project_id,
                DuplicateGroupRow.image_id.in_(changed[start : start + _CHUNK]),
            )
        )
    _insert(session, project_id, {i: m for i, m in wanted.items() if now.get(i) != m})


def _groups_of(session: Session, project_id: int, image_ids: Sequence[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for start in range(0, len(image_ids), _CHUNK):
        rows = session.execute(
            select(DuplicateGroupRow.image_id, DuplicateGroupRow.group_id).where(
                DuplicateGroupRow.project_id == project_id,
                DuplicateGroupRow.image_id.in_(image_ids[start : start + _CHUNK]),
            )
        )
        found.update(dict(rows.all()))
    return found


def _insert(session: Session, project_id: int, rows: Mapping[int, Membership]) -> None:
    if rows:
        session.execute(
            insert(DuplicateGroupRow),
            [
                {"project_id": project_id, "image_id": image_id, **membership._asdict()}
                for image_id, membership in rows.items()
            ],
        )
