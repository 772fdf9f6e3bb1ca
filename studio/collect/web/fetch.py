"""Fetching pictures whose addresses are known: from a list, or picked from what a search found."""

from collections.abc import Sequence
from datetime import datetime
from typing import Unpack

from db.engine import Database
from studio.collect.address_lists import AddressList
from studio.collect.entry import Find
from studio.collect.ingest import Ingesting, IngestReport
from studio.collect.store import PictureStore
from studio.collect.web import frontier
from studio.collect.web.frontier import Target
from studio.collect.web.harvest import harvest
from studio.collect.web.reading import Reading
from studio.collect.web.rules import Followed, Limits
from studio.collect.web.visitor import Answer, Visitor
from studio.collect.why import Why
from studio.language import _


class Listed:
    """The rules for addresses of pictures: none leads anywhere else."""

    def follow(self, page: Target, answer: Answer, reading: Reading, known: set[str]) -> Followed:
        """Follow nothing."""
        return Followed((), (), "")


def ingest_targets(
    database: Database,
    store: PictureStore,
    project_id: int,
    targets: Sequence[Target],
    kind: str,
    min_side_px: int,
    visitor: Visitor,
    **ingesting: Unpack[Ingesting],
) -> IngestReport:
    """Fetch pictures whose addresses are known. kind: of their provenance: list, openverse, commons."""
    return harvest(
        database, store, project_id, visitor, targets, Limits(), Listed(), kind, min_side_px, ingesting
    )


def targets_of(found: AddressList, class_name: str | None) -> list[Target]:
    """Return what a list names; class_name: of what the list gives none."""
    return [
        Target(entry.address, "picture", 0, entry.class_name or class_name, entry.papers)
        for entry in found.entries
    ]


def note_refused_lines(
    database: Database, project_id: int, job_id: int, found: AddressList, *, at: datetime
) -> None:
    """Write of every part of a list that is no address why not."""
    finds = {}
    for line in found.refused:
        name = _("line {number}: {text}").format(number=line.line, text=line.text)
        finds[name] = (Find(name, "refused", line.reason, Why.ADDRESS), "")
    with database.write() as session:
        frontier.note(session, project_id, job_id, list(finds.values()), at=at)
