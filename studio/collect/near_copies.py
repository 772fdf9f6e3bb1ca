"""Finding, while pictures enter a project, those that are nearly the same as pictures in it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from sqlalchemy import ColumnElement, func, select, true
from sqlalchemy.orm import Session

from db import models
from studio.arrays import Float32Array
from studio.collect.likeness import NEAR_BITS, Hashes, alike, bits_apart, look
from studio.collect.store import PictureStore
from studio.errors import StudioError

_LOOKED_AT = 8
"""So many of a picture's nearest by hash are looked at. Thousands of scans may share a hash."""
_REMEMBERED = 4096
"""Looks kept in memory, 3 kB each: pictures that resemble each other come close together."""


class Pair(NamedTuple):
    """Image ids of two pictures that are nearly the same."""

    first: int
    """The one that was in the project first."""
    second: int


class NearCopies:
    """The perceptual hashes of one project's pictures in memory, 16 bytes each, and the search among them.

    Made empty; every search first reads from the database what has been added since, by anybody.
    """

    def __init__(self, store: PictureStore, project_id: int) -> None:
        self._store = store
        self._project_id = project_id
        self._ids: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._hashes: Hashes = np.empty(0, np.uint64)
        self._looks: dict[int, Float32Array | None] = {}

    def of(self, session: Session, added: Sequence[int]) -> list[Pair]:
        """Return the pairs of pictures `added` (image ids, already written) with all others, in their order.

        Of two that were added, the pair is given once, with the one named later as `second`.
        """
        self._read_on(session, added)
        proposed: dict[int, list[int]] = {}
        later = set(added)
        for image_id in added:
            later.discard(image_id)
            bits = bits_apart(self._hashes, self._hashes[self._ids == image_id][0])
            near = np.flatnonzero(bits <= NEAR_BITS)
            nearest = self._ids[near[np.argsort(bits[near], kind="stable")]].tolist()
            others = [other for other in nearest if other != image_id and other not in later]
            proposed[image_id] = others[:_LOOKED_AT]
        compared = {i for image_id, others in proposed.items() if others for i in (image_id, *others)}
        looks = self._looks_of(session, compared) if compared else {}
        return [
            Pair(other, image_id)
            for image_id, others in proposed.items()
            for other in others
            if alike(looks[other], looks[image_id])
        ]

    def _read_on(self, session: Session, added: Sequence[int]) -> None:
        """Read the hashes of what is in the project and not yet here."""
        known = int(self._ids.max(initial=0))
        self._read(session, models.Label.image_id > known)
        # A picture that another project had before has an older id.
        if older := [image_id for image_id in added if image_id <= known]:
            self._read(session, models.Label.image_id.in_(older))
        count = (
            select(func.count()).select_from(models.Label).where(models.Label.project_id == self._project_id)
        )
        if session.scalar(count) != len(self._ids):  # somebody else has added such a picture
            self._ids, self._hashes = self._ids[:0], self._hashes[:0]
            self._read(session, true())

    def _read(self, session: Session, which: ColumnElement[bool]) -> None:
        rows = session.execute(
            select(models.Label.image_id, models.Image.perceptual_hash)
            .join(models.Image, models.Image.id == models.Label.image_id)
            .where(models.Label.project_id == self._project_id, which)
        ).all()
        self._ids = np.append(self._ids, np.array([image_id for image_id, _digits in rows], np.int64))
        self._hashes = np.append(self._hashes, np.array([int(digits, 16) for _id, digits in rows], np.uint64))

    def _looks_of(self, session: Session, wanted: set[int]) -> dict[int, Float32Array | None]:
        found = {image_id: self._looks[image_id] for image_id in wanted & self._looks.keys()}
        rows = session.execute(
            select(models.Image.id, models.Image.sha256, models.Image.format).where(
                models.Image.id.in_(wanted - found.keys())
            )
        )
        for image_id, sha256, format_name in rows:
            found[image_id] = self._look(sha256, format_name)
        if len(self._looks) > _REMEMBERED:
            self._looks.clear()
        self._looks.update(found)
        return found

    def _look(self, sha256: str, format_name: str) -> Float32Array | None:
        try:
            with Image.open(self._store.thumbnail(sha256, format_name), formats=["JPEG"]) as thumbnail:
                return look(thumbnail)
        except (StudioError, OSError):  # its file is gone: then it is a copy of nothing
            return None
