"""What addresses answered last, so that a later crawl asks only whether anything has changed since."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from db import models
from db.web_models import WebAnswer

_CHUNK = 500  # SQLite allows a statement 999 variables in its older builds


@dataclass(frozen=True)
class Kept:
    """An earlier answer: its tags, and the picture or the page's reading that they stand for."""

    address: str
    etag: str
    last_modified: str
    sha256: str | None = None
    format: str = ""
    """The picture's, as in the database."""
    reading: Mapping[str, Any] | None = None


def recall(session: Session, addresses: Sequence[str]) -> dict[str, Kept]:
    """Return what is kept of these addresses, by address; of pictures only what the database still has."""
    row, image = WebAnswer, models.Image
    kept = {}
    for start in range(0, len(addresses), _CHUNK):
        rows = session.execute(
            select(row.address, row.etag, row.last_modified, row.sha256, image.format, row.reading)
            .outerjoin(image, image.sha256 == row.sha256)
            .where(row.address.in_(addresses[start : start + _CHUNK]))
        )
        for address, etag, last_modified, sha256, format_name, reading in rows:
            if format_name is not None or reading is not None:
                kept[address] = Kept(address, etag, last_modified, sha256, format_name or "", reading)
    return kept


def keep(session: Session, answers: Sequence[Kept], at: datetime) -> None:
    """Put these answers in place of earlier ones."""
    newest = {answer.address: answer for answer in answers}
    addresses = list(newest)
    for start in range(0, len(addresses), _CHUNK):
        chunk = addresses[start : start + _CHUNK]
        session.execute(delete(WebAnswer).where(WebAnswer.address.in_(chunk)))
        session.execute(
            insert(WebAnswer),
            [
                {
                    "address": address,
                    "etag": newest[address].etag,
                    "last_modified": newest[address].last_modified,
                    "sha256": newest[address].sha256,
                    "reading": newest[address].reading,
                    "at": at,
                }
                for address in chunk
            ],
        )
