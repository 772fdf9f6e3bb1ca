"""A list of addresses, as what a job is to ask."""

from datetime import datetime

from sqlalchemy.orm import Session

from studio.collect.address_lists import AddressList
from studio.collect.entry import Find
from studio.collect.web import frontier
from studio.collect.web.frontier import Target
from studio.collect.why import Why
from studio.language import _


def add(
    session: Session,
    project_id: int,
    job_id: int,
    found: AddressList,
    class_name: str | None,
    *,
    at: datetime,
) -> None:
    """Put a list's addresses behind those that wait for a job, and write of its other parts why not.

    class_name: of what the list gives none. Done twice, it changes nothing.
    """
    targets = (
        Target(entry.address, "picture", 0, entry.class_name or class_name, entry.papers)
        for entry in found.entries
    )
    frontier.add(session, job_id, targets)
    finds = {}
    for line in found.refused:
        name = _("line {number}: {text}").format(number=line.line, text=line.text)
        finds[name] = (Find(name, "refused", line.reason, Why.ADDRESS), "")
    frontier.note(session, project_id, job_id, list(finds.values()), at=at)
