"""Visitor feedback: predictions reported as wrong, with the image if owner and visitor agree."""

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
from studio.collect.ingest import ImportContext, ingest
from studio.datasets.sources import Source
from studio.errors import StudioError
from studio.i18n import _
from studio.images.provenance import VISITOR, Provenance
from studio.images.store import ImageStore, resize_to_fit
from studio.share.links import SharedRun
from studio.share.shared_models import decode_untrusted

MAX_FEEDBACK = 5_000
MAX_IMAGES = 500
"""Limits of one link, so that nobody fills the disk or the project through it."""
_MAX_SIDE_PX = 1_280
_JPEG_QUALITY = 92


@dataclass(frozen=True)
class Feedback:
    """A visitor's report of a wrong prediction.

    predicted: the predicted class; score: its confidence, 0 to 1. correct: the correct class, empty if it is
    none of the model's or unknown. image: the file's bytes, if the visitor sent it.
    """

    predicted: str
    score: float
    correct: str
    image: bytes | None


class FeedbackLimitReached(StudioError):
    """A link has as much feedback as it may have."""


@dataclass(frozen=True)
class FeedbackRecord:
    """Stored feedback. The fields of `Feedback`, and:

    sha256: of the image, None if none was sent. link_name: of the share link. at: when it came, in UTC.
    """

    predicted: str
    score: float
    correct: str
    sha256: str | None
    link_name: str
    at: datetime


def record_feedback(
    database: Database, store: ImageStore, shared: SharedRun, feedback: Feedback, now: datetime
) -> None:
    """Store a visitor's feedback, and add the image, if there is one, to the project.

    The image is added without a label, with the feedback as its title. Only its pixels are kept, not the
    file's metadata, such as place and time. Raises ImageRefused, and FeedbackLimitReached beyond the link's
    limits.
    """
    image = feedback.image if shared.keeps_images else None
    content = None if image is None else _reencode(image)
    with database.read() as session:
        reports, images = session.execute(
            select(func.count(), func.count(VisitorFeedbackRow.image_id)).where(
                VisitorFeedbackRow.link_id == shared.link_id
            )
        ).one()
    if reports >= MAX_FEEDBACK or (content is not None and images >= MAX_IMAGES):
        raise FeedbackLimitReached(_("This link accepts no more feedback. Thank you."))
    if content is not None:
        _ingest_image(database, store, shared, _title(feedback), content, now)
    with database.write() as session:
        image_id = None if content is None else _image_id(session, content)
        session.add(
            VisitorFeedbackRow(
                link_id=shared.link_id,
                answered=feedback.predicted,
                score=feedback.score,
                meant=feedback.correct,
                image_id=image_id,
                at=now,
            )
        )


def list_feedback(session: Session, project_id: int, limit: int = 100) -> tuple[FeedbackRecord, ...]:
    """Return the feedback on a project's models, the newest first."""
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
    return tuple(FeedbackRecord(*values) for values in rows)


def _reencode(content: bytes) -> bytes:
    """Decode an untrusted image and encode it as a JPEG of at most 1,280 px, without metadata."""
    image = resize_to_fit(decode_untrusted(content, fitting_px=_MAX_SIDE_PX), _MAX_SIDE_PX)
    image.info.clear()  # comments and other metadata, which Pillow would write again
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=_JPEG_QUALITY)
    return jpeg.getvalue()


def _ingest_image(
    database: Database, store: ImageStore, shared: SharedRun, title: str, content: bytes, now: datetime
) -> None:
    read: Callable[[], bytes] = partial(bytes, content)
    name = f"{shared.name}/{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}.jpg"
    source = Source(name, read, kind=VISITOR, provenance=Provenance(title=title))
    ingest(
        ImportContext(
            database=database, store=store, project_id=shared.project_id, clock=lambda: now, threads=1
        ),
        [source],
    )


def _title(feedback: Feedback) -> str:
    if feedback.correct:
        return _("marked wrong by a visitor: answered {answered}, meant {meant}").format(
            answered=feedback.predicted, meant=feedback.correct
        )
    return _("marked wrong by a visitor: answered {answered}").format(answered=feedback.predicted)


def _image_id(session: Session, content: bytes) -> int | None:
    digest = hashlib.sha256(content).hexdigest()
    return session.scalar(select(models.ImageRow.id).where(models.ImageRow.sha256 == digest))
