"""Share links, by which others use a run's model: create, resolve a token, renew, revoke, count."""

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

MAX_NAME_LENGTH = 100
_TOKEN_BYTES = 24

LinkState = Literal["open", "expired", "revoked"]


@dataclass(frozen=True)
class ShareLink:
    """A share link as its owner sees it. Its token is not stored.

    page_views: how often its page was opened, last at last_viewed_at. server_predictions: images predicted
    by the server and not in the visitor's browser. feedback_count: predictions that visitors reported as
    wrong; feedback_images: those with an image.
    """

    id: int
    run_id: int
    name: str
    keeps_images: bool
    shows_examples: bool
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    page_views: int
    server_predictions: int
    last_viewed_at: datetime | None
    feedback_count: int
    feedback_images: int

    def state(self, now: datetime) -> LinkState:
        """Return whether the link is open, expired or revoked."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "open"


@dataclass(frozen=True)
class SharedRun:
    """The run behind a share link. folder: of the run, in `runs` of the data folder. name: of the link."""

    link_id: int
    project_id: int
    folder: str
    name: str
    keeps_images: bool
    shows_examples: bool


def new_token() -> str:
    """Return a token of 192 random bits as 32 URL-safe characters."""
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
    """Create a link to a finished run; return its id and its token, of which only a hash is stored.

    expires_at: None for no end. keeps_images: whether visitors who report a wrong prediction are asked for
    the image. shows_examples: whether the page shows training images of each class. Raises ProjectError if
    the run does not exist or has not ended, and for a name that is empty or too long.
    """
    name = " ".join(name.split())
    if not 1 <= len(name) <= MAX_NAME_LENGTH or not name.isprintable():
        raise ProjectError(
            _("expected a link name of 1 to {limit} characters; it has {count}. Choose another.").format(
                limit=MAX_NAME_LENGTH, count=len(name)
            )
        )
    run = session.get(models.RunRow, run_id)
    if run is None or run.ended_at is None or run.deleted_at is not None:
        raise ProjectError(_("There is no such trained model. It may have been deleted. Choose another."))
    new = token()
    row = ShareLinkRow(
        run_id=run_id,
        name=name,
        token_sha256=_hash(new),
        keeps_images=keeps_images,
        shows_examples=shows_examples,
        expires_at=expires_at,
        created_at=now,
    )
    session.add(row)
    session.flush()
    return row.id, new


def renew(session: Session, link_id: int, token: Callable[[], str] = new_token) -> str:
    """Give a link a new token and return it. The old token stops working; a revoked link opens again."""
    row = _row(session, link_id)
    new = token()
    row.token_sha256 = _hash(new)
    row.revoked_at = None
    return new


def revoke(session: Session, link_id: int, now: datetime) -> None:
    """Revoke a link; only `renew` opens it again, with another token."""
    row = _row(session, link_id)
    row.revoked_at = row.revoked_at or now


def list_links(session: Session, project_id: int) -> tuple[ShareLink, ...]:
    """Return the links to a project's runs, the newest first, without those to deleted runs."""
    feedback = (
        select(func.count(), func.count(VisitorFeedbackRow.image_id))
        .where(VisitorFeedbackRow.link_id == ShareLinkRow.id)
        .correlate(ShareLinkRow)
    )
    count, images = (
        feedback.with_only_columns(column).scalar_subquery() for column in feedback.selected_columns
    )
    rows = session.execute(
        select(ShareLinkRow, count, images)
        .join(models.RunRow, models.RunRow.id == ShareLinkRow.run_id)
        .where(models.RunRow.project_id == project_id, models.RunRow.deleted_at.is_(None))
        .order_by(ShareLinkRow.id.desc())
    )
    return tuple(
        ShareLink(
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
            count,
            images,
        )
        for row, count, images in rows
    )


def resolve_token(session: Session, token: str, now: datetime) -> SharedRun | None:
    """Return the run that a token opens; None for an unknown, expired or revoked token."""
    row = ShareLinkRow
    values = session.execute(
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
            # By the hash, so that the time of the query tells nothing about a token that is nearly right.
            row.token_sha256 == _hash(token),
            row.revoked_at.is_(None),
            row.expires_at.is_(None) | (row.expires_at > now),
            models.RunRow.deleted_at.is_(None),
        )
    ).one_or_none()
    return None if values is None else SharedRun(*values)


def add_counts(
    session: Session, link_id: int, at: datetime, *, page_views: int = 0, server_predictions: int = 0
) -> None:
    """Add to a link's counters. at: the time of the last page view."""
    row = ShareLinkRow
    session.execute(
        update(row)
        .where(row.id == link_id)
        .values(
            opened=row.opened + page_views,
            answered=row.answered + server_predictions,
            **({"opened_at": at} if page_views else {}),
        )
    )


def _row(session: Session, link_id: int) -> ShareLinkRow:
    row = session.get(ShareLinkRow, link_id)
    if row is None:
        raise ProjectError(_("There is no such link. Reload the page."))
    return row


def _hash(token: str) -> str:
    # No salt or slow hash is needed: the token is random and as hard to guess as the hash.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
