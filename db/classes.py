"""A project's classes by name, made where they are missing."""

from collections.abc import Iterable

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db.models import ImageClass
from db.upsert import insert_ignoring


def class_ids(session: Session, project_id: int, names: Iterable[str]) -> dict[str, int]:
    """Return the ids of all the project's classes by name; those of `names` that were missing come last.

    One of `names` that had been removed is a class again.
    """
    known = select(ImageClass).where(ImageClass.project_id == project_id, ImageClass.removed_at.is_(None))
    found = {row.name: row.id for row in session.scalars(known)}
    missing = [name for name in dict.fromkeys(names) if name not in found]
    if not missing:
        return found
    session.execute(
        update(ImageClass)
        .where(ImageClass.project_id == project_id, ImageClass.name.in_(missing))
        .values(removed_at=None)
    )
    last = session.scalar(select(func.max(ImageClass.position)).where(ImageClass.project_id == project_id))
    start = 0 if last is None else last + 1
    # Somebody else may make the same class in the same moment: then theirs is ours.
    insert_ignoring(
        session,
        ImageClass,
        [{"project_id": project_id, "name": name, "position": start + i} for i, name in enumerate(missing)],
    )
    return {row.name: row.id for row in session.scalars(known)}
