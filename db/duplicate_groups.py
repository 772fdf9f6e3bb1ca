"""Duplicate groups: which images of a project are near-duplicates of each other; merging groups."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from db.models import DuplicateGroupRow

_CHUNK_SIZE = 500  # SQLite allows a statement 999 variables in its older builds


class Membership(NamedTuple):
    """An image's duplicate group, and how it was found: hash or bottleneck."""

    group_id: int
    found_by: str


def memberships(session: Session, project_id: int) -> dict[int, Membership]:
    """Return the memberships of a project by image id."""
    rows = session.execute(
        select(DuplicateGroupRow.image_id, DuplicateGroupRow.group_id, DuplicateGroupRow.found_by).where(
            DuplicateGroupRow.project_id == project_id
        )
    )
    return {image_id: Membership(group_id, found_by) for image_id, group_id, found_by in rows}


def merge_pairs(session: Session, project_id: int, pairs: Sequence[tuple[int, int]]) -> None:
    """Put the two images of each pair, found by their hashes, into one group.

    pairs: image ids, first the image that was in the project first. Two groups that share an image merge
    under the lower of their ids.
    """
    if not pairs:
        return
    groups = _groups_of(session, project_id, sorted({image_id for pair in pairs for image_id in pair}))
    before = dict(groups)
    absorbed: dict[int, int] = {}
    for first, second in pairs:
        merged = {groups[image_id] for image_id in (first, second) if image_id in groups}
        into = min(merged, default=first)
        groups[first] = groups[second] = into
        for group_id in merged - {into}:
            absorbed[group_id] = into
            groups.update({image_id: into for image_id, other in groups.items() if other == group_id})
    for group_id, into in absorbed.items():
        # Moves members that no pair names, too; in the order of merging, so that repeated merges add up.
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


def replace_memberships(session: Session, project_id: int, wanted: Mapping[int, Membership]) -> None:
    """Replace the project's groups by `wanted`, by image id; only rows that differ are written."""
    now = memberships(session, project_id)
    changed = [image_id for image_id, membership in now.items() if wanted.get(image_id) != membership]
    for start in range(0, len(changed), _CHUNK_SIZE):
        session.execute(
            delete(DuplicateGroupRow).where(
                DuplicateGroupRow.project_id == project_id,
                DuplicateGroupRow.image_id.in_(changed[start : start + _CHUNK_SIZE]),
            )
        )
    _insert(session, project_id, {i: m for i, m in wanted.items() if now.get(i) != m})


def _groups_of(session: Session, project_id: int, image_ids: Sequence[int]) -> dict[int, int]:
    groups: dict[int, int] = {}
    for start in range(0, len(image_ids), _CHUNK_SIZE):
        rows = session.execute(
            select(DuplicateGroupRow.image_id, DuplicateGroupRow.group_id).where(
                DuplicateGroupRow.project_id == project_id,
                DuplicateGroupRow.image_id.in_(image_ids[start : start + _CHUNK_SIZE]),
            )
        )
        groups.update(dict(rows.all()))
    return groups


def _insert(session: Session, project_id: int, rows: Mapping[int, Membership]) -> None:
    if rows:
        session.execute(
            insert(DuplicateGroupRow),
            [
                {"project_id": project_id, "image_id": image_id, **membership._asdict()}
                for image_id, membership in rows.items()
            ],
        )
