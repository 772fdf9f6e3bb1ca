"""The classes of a project with how many pictures are in them."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.models import Label
from studio.curate.classes import living


@dataclass(frozen=True)
class Shelf:
    """A class and how many pictures have it."""

    id: int
    name: str
    colour: str
    """`#rrggbb`; empty where nobody chose one."""
    hotkey: str
    position: int
    count: int


@dataclass(frozen=True)
class Shelves:
    """All of a project's pictures by class and state."""

    classes: tuple[Shelf, ...]
    labelled: int
    unlabelled: int
    rejected: int


def shelves(session: Session, project_id: int) -> Shelves:
    """Count a project's pictures; 100,000 take about 10 ms."""
    found = {
        (state, class_id): count
        for state, class_id, count in session.execute(
            select(Label.state, Label.class_id, func.count())
            .where(Label.project_id == project_id)
            .group_by(Label.state, Label.class_id)
        )
    }

    def of(wanted: str) -> int:
        return sum(count for (state, _class), count in found.items() if state == wanted)

    return Shelves(
        classes=tuple(
            Shelf(row.id, row.name, row.colour, row.hotkey, row.position, found.get(("labelled", row.id), 0))
            for row in living(session, project_id)
        ),
        labelled=of("labelled"),
        unlabelled=of("unlabelled"),
        rejected=of("rejected"),
    )
