"""Groups of near copies that came with an export: put together again, each led by the picture that led it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db import copy_groups, models

_CHUNK = 500


def regroup(session: Session, project_id: int, copies: Mapping[str, Sequence[str]]) -> None:
    """Put pictures of a project into groups, as far as they are in it; done twice, it changes nothing.

    copies: the pictures of each group by the first of them, all by their SHA-256. The first decides on which
    side of a split all of them fall. It leads the group here as well, unless pictures are in the group that
    did not come with it: those were here before, and what led them still does.
    """
    ids = _ids(
        session, project_id, sorted({sha for first, those in copies.items() for sha in (first, *those)})
    )
    came = {
        first: {ids[digest] for digest in (first, *members) if digest in ids}
        for first, members in copies.items()
    }
    pairs = []
    for first, here in came.items():
        leader = ids.get(first, min(here, default=0))
        pairs += [(leader, other) for other in sorted(here) if other != leader]
    copy_groups.join(session, project_id, pairs)
    groups: defaultdict[int, set[int]] = defaultdict(set)
    group_of: dict[int, int] = {}
    for image_id, membership in copy_groups.memberships(session, project_id).items():
        groups[membership.group_id].add(image_id)
        group_of[image_id] = membership.group_id
    row = models.CopyGroup
    for first, here in came.items():
        own = ids.get(first, 0)
        group_id = group_of.get(own, own)
        if group_id != own and groups[group_id] <= here:
            session.execute(
                update(row).where(row.project_id == project_id, row.group_id == group_id).values(group_id=own)
            )


def _ids(session: Session, project_id: int, digests: Sequence[str]) -> dict[str, int]:
    """Return the ids of those pictures that the project has, by their SHA-256."""
    image, label = models.Image, models.Label
    found: dict[str, int] = {}
    for start in range(0, len(digests), _CHUNK):
        rows = session.execute(
            select(image.sha256, image.id)
            .join(label, label.image_id == image.id)
            .where(label.project_id == project_id, image.sha256.in_(digests[start : start + _CHUNK]))
        )
        found |= dict(rows.all())
    return found
