"""Answers that visitors marked as wrong: kept with the image only where both sides wanted it."""

import hashlib
import io
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import models
from db.engine import Database
from db.models import ShareLinkRow, VisitorFeedbackRow
from studio.collect.ingest import ingest
from studio.datasets.sources import Source
from studio.errors import StudioError
from studio.i18n import _
from studio.images.provenance import VISITOR, Provenance
from studio.images.store import ImageStore, fitted
from studio.progress import Silent
from studio.share.links import Shared
from studio.share.shared_models import decode_from_a_stranger

MOST_MARKS = 5_000
MOST_IMAGES = 500
"""So many of a link are kept; then it is full, so that nobody fills the disk or the project through it."""
_SIDE_PX = 1_280
_QUALITY = 92


@dataclass(frozen=True)
class Said:
    """What a visitor says of an answer. score: how sure the model was of it, 0 to 1.

    meant: the class that it should have been; empty where it is none of them. image: a file's bytes, where
    the visitor leaves it.
    """

    answered: str
    score: float
    meant: str
    image: bytes | None


class LinkFull(StudioError):
    """A link has as many marks as it may have."""


@dataclass(frozen=True)
class Mark:
    """An answer marked as wrong. score: how sure the model was; meant: empty where the visitor named none."""

    answered: str
    score: float
    meant: str
    sha256: str | None
    """The image; None where none was left."""
    link: str
    """The link's name."""
    at: datetime


def mark(database: Database, store: ImageStore, shared: Shared, said: Said, now: datetime) -> None:
    """Write down that an answer was wrong, and take the image, if there is one, into the project.

    The image waits there unlabelled, with what was said of it as its title. Nothing of its file but its
    pixels is kept: a photograph's place and time are the visitor's own. Raises ImageRefused, and LinkFull
    where the link has as many marks as it may have.
    """
    image = said.image if shared.keeps_images else None
    pixels = None if image is None else _pixels_alone(image)
    with database.read() as session:
        marks, images = session.execute(
            select(func.count(), func.count(VisitorFeedbackRow.image_id)).where(
                VisitorFeedbackRow.link_id == shared.link_id
            )
        ).one()
    if marks >= MOST_MARKS or (pixels is not None and images >= MOST_IMAGES):
        raise LinkFull(_("This link has taken as many remarks as it can. Thank you."))
    if pixels is not None:
        _take(database, store, shared, _title(said), pixels, now)
    with database.write() as session:
        image_id = None if pixels is None else _image_id(session, pixels)
        session.add(
            VisitorFeedbackRow(
                link_id=shared.link_id,
                answered=said.answered,
                score=said.score,
                meant=said.meant,
                image_id=image_id,
                at=now,
            )
        )


def marks(session: Session, project_id: int, limit: int = 100) -> tuple[Mark, ...]:
    """Return what visitors marked as wrong in a project, the newest first."""
    row = VisitorFeedbackRow
    rows = session.execute(
        select(row.answered, row.score, row.meant, models.ImageRow.sha256, ShareLinkRow.name, row.at)
        .join(ShareLinkRow, ShareLinkRow.id == row.link_id)
        .join(models.RunRow, models.RunRow.id == ShareLinkRow.run_id)
        .outerjoin(models.ImageRow, models.ImageRow.id == row.image_id)
        .where(models.RunRow.project_id == project_id)
        .order_by(row.id.desc())
        .limit(limit)
    )
    return tuple(Mark(*found) for found in rows)


def _pixels_alone(content: bytes) -> bytes:
    """Return a stranger's image written anew, no larger than it needs to be for training and looking."""
    image = fitted(decode_from_a_stranger(content, fitting_px=_SIDE_PX), _SIDE_PX)
    image.info.clear()  # comments and the like, which Pillow would write again
    written = io.BytesIO()
    image.save(written, "JPEG", quality=_QUALITY)
    return written.getvalue()


def _take(
    database: Database, store: ImageStore, shared: Shared, title: str, content: bytes, now: datetime
) -> None:
    read: Callable[[], bytes] = partial(bytes, content)
    name = f"{shared.name}/{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}.jpg"
    source = Source(name, read, kind=VISITOR, provenance=Provenance(title=title))
    ingest(
        database,
        store,
        shared.project_id,
        [source],
        progress=Silent(),
        clock=lambda: now,
        threads=1,
    )


def _title(said: Said) -> str:
    if said.meant:
        return _("marked wrong by a visitor: answered {answered}, meant {meant}").format(
            answered=said.answered, meant=said.meant
        )
    return _("marked wrong by a visitor: answered {answered}").format(answered=said.answered)


def _image_id(session: Session, content: bytes) -> int | None:
    digest = hashlib.sha256(content).hexdigest()
    return session.scalar(select(models.ImageRow.id).where(models.ImageRow.sha256 == digest))
