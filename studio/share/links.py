"""Links by which others ask a run's model: made, found by their token, counted, closed."""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db import models
from db.models import ShareLinkRow, VisitorFeedbackRow
from studio.errors import ProjectError
from studio.i18n import _

LONGEST_NAME = 100
_TOKEN_BYTES = 24

LinkState = Literal["open", "expired", "revoked"]


@dataclass(frozen=True)
class Link:
    """A link as its owner sees it; its token is not to be had any more.

    opened: how often its page was; answered: images that were answered here and not in the visitor's
    browser. marked: answers that visitors marked as wrong; images: how many of them left theirs.
    """

    id: int
    run_id: int
    name: str
    keeps_images: bool
    shows_examples: bool
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    opened: int
    answered: int
    opened_at: datetime | None
    marked: int
    images: int

    def state(self, now: datetime) -> LinkState:
        """Return how the link stands."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "open"


@dataclass(frozen=True)
class Shared:
    """What a token opens: one run's model. folder: of the run, under the data folder's `runs`."""

    link_id: int
    project_id: int
    folder: str
    name: str
    keeps_images: bool
    shows_examples: bool


def new_token() -> str:
    """Return a token that nobody guesses: 192 random bits as 32 letters that an address may hold."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def create(
    session: Session,
    run_id: int,
    name: str,
    now: datetime,
    *,
    expires_at: datetime | None = None,
    keeps_images: bool = False,
    shows_examples: bool = False,
    token: Callable[[], str] = new_token,
) -> tuple[int, str]:
    """Make a link to a finished run and return its id and its token, which is not kept.

    expires_at: from when on it opens nothing; None: never. keeps_images: whether a visitor who marks an
    answer wrong is asked to leave the image. shows_examples: whether training images of each class are
    shown. Raises ProjectError where there is no such run or it has not
    ended, and for a name that is empty or too long.
    """
    name = " ".join(name.split())
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise ProjectError(
            _("expected a name of 1 to {limit} letters for the link; it has {count}.").format(
                limit=LONGEST_NAME, count=len(name)
            )
        )
    run = session.get(models.RunRow, run_id)
    if run is None or run.ended_at is None or run.deleted_at is not None:
        raise ProjectError(_("There is no such trained model. It may have been deleted; choose another."))
    made = token()
    row = ShareLinkRow(
        run_id=run_id,
        name=name,
        token_sha256=_hash(made),
        keeps_images=keeps_images,
        shows_examples=shows_examples,
        expires_at=expires_at,
        created_at=now,
    )
    session.add(row)
    session.flush()
    return row.id, made


def renew(session: Session, link_id: int, token: Callable[[], str] = new_token) -> str:
    """Give a link another token and return it: what was handed out before opens nothing from now on."""
    row = _row(session, link_id)
    made = token()
    row.token_sha256 = _hash(made)
    row.revoked_at = None
    return made


def revoke(session: Session, link_id: int, now: datetime) -> None:
    """Close a link: its address opens nothing from now on, and only `renew` gives it another."""
    row = _row(session, link_id)
    row.revoked_at = row.revoked_at or now


def links(session: Session, project_id: int) -> tuple[Link, ...]:
    """Return the links to a project's runs, the newest first; those to deleted runs are left out."""
    marks = (
        select(func.count(), func.count(VisitorFeedbackRow.image_id))
        .where(VisitorFeedbackRow.link_id == ShareLinkRow.id)
        .correlate(ShareLinkRow)
    )
    marked, images = (marks.with_only_columns(column).scalar_subquery() for column in marks.selected_columns)
    rows = session.execute(
        select(ShareLinkRow, marked, images)
        .join(models.RunRow, models.RunRow.id == ShareLinkRow.run_id)
        .where(models.RunRow.project_id == project_id, models.RunRow.deleted_at.is_(None))
        .order_by(ShareLinkRow.id.desc())
    )
    return tuple(
        Link(
            row.id,
            row.run_id,
            row.name,
            row.keeps_images,
            row.shows_examples,
            row.created_at,
            row.expires_at,
            row.revoked_at,
            row.opened,
            row.answered,
            row.opened_at,
            marked,
            images,
        )
        for row, marked, images in rows
    )


def opened_by(session: Session, token: str, now: datetime) -> Shared | None:
    """Return what a token opens; None alike for one that is unknown, expired or revoked."""
    row = ShareLinkRow
    found = session.execute(
        select(
            row.id,
            models.RunRow.project_id,
            models.RunRow.folder,
            row.name,
            row.keeps_images,
            row.shows_examples,
        )
        .join(models.RunRow, models.RunRow.id == row.run_id)
        .where(
            # Looked up by its hash: how long that takes says nothing of a token that is nearly right.
            row.token_sha256 == _hash(token),
            row.revoked_at.is_(None),
            row.expires_at.is_(None) | (row.expires_at > now),
            models.RunRow.deleted_at.is_(None),
        )
    ).one_or_none()
    return None if found is None else Shared(*found)


def count(session: Session, link_id: int, at: datetime, *, opened: int = 0, answered: int = 0) -> None:
    """Add to what was counted of a link."""
    row = ShareLinkRow
    session.execute(
        update(row)
        .where(row.id == link_id)
        .values(
            opened=row.opened + opened,
            answered=row.answered + answered,
            **({"opened_at": at} if opened else {}),
        )
    )


def _row(session: Session, link_id: int) -> ShareLinkRow:
    row = session.get(ShareLinkRow, link_id)
    if row is None:
        raise ProjectError(_("There is no such link. Reload the page."))
    return row


def _hash(token: str) -> str:
    # A plain hash will do for what is as random as the hash is long.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
