"""Small copies of what searches found, made by us: a stranger's bytes are never shown."""

import time
from pathlib import Path
from uuid import uuid4

from sqlalchemy import select

from db.engine import Database
from db.web_models import SearchHit
from studio.atomic import atomic_bytes
from studio.collect.decode import decode_whole
from studio.collect.store import THUMBNAIL_PX, fitted
from studio.collect.web.visitor import Kind, Visitor
from studio.errors import PictureRefused, ServerError
from studio.language import _

_MAX_BYTES = 5_000_000
_YOUNG_S = 3600.0
"""A file this new may belong to a hit whose row is not written yet."""


class Previews:
    """A folder of WebP files that fit 256 x 256 px, under names that nobody can guess."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, name: str) -> Path:
        """Return where the preview of that name lies."""
        return self._folder / name

    def fetch(self, visitor: Visitor, address: str, kind: Kind) -> str:
        """Fetch a picture, keep a small copy and return its name; empty when nothing can be shown.

        Raises VisitEnded after the visitor's end, ServerError when the disk refuses.
        """
        if not address:
            return ""
        try:
            data = visitor.get(address, kind=kind, max_bytes=_MAX_BYTES).body
            image = decode_whole(data, address, at_least_px=THUMBNAIL_PX).image
        except PictureRefused:
            return ""
        name = f"{uuid4().hex}.webp"
        try:
            with atomic_bytes(self.path(name)) as file:
                fitted(image, THUMBNAIL_PX).save(file, "WEBP", quality=80, method=0)
        except OSError as error:
            raise ServerError(
                _(
                    "{path} cannot be written: {why}. Make room on the disk, or let the studio write there."
                ).format(path=self.path(name), why=error.strerror or error)
            ) from error
        return name

    def clear(self, database: Database) -> None:
        """Delete the files that no hit names any more."""
        if not self._folder.is_dir():
            return
        with database.read() as session:
            named = set(session.scalars(select(SearchHit.preview).where(SearchHit.preview != "")))
        for path in self._folder.iterdir():
            try:
                if path.name not in named and time.time() - path.stat().st_mtime > _YOUNG_S:
                    path.unlink()
            except OSError:  # another cleared it, or shows it: then it goes the next time
                continue
