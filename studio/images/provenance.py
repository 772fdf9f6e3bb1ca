"""The provenance of a project's images: every place where each was found, and what is known of its licence."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import QueryableAttribute, Session

from db import models


@dataclass(frozen=True)
class Provenance:
    """What is known of where an image comes from and what may be done with it; empty means unknown."""

    page_address: str = ""
    title: str = ""
    creator: str = ""
    licence: str = ""
    licence_address: str = ""
    robots: str = ""


OWN = ("camera", "drawing")
"""Kinds of provenance that are a person's own work: there is no licence to ask for."""
VISITOR = "visitor"
"""The kind of provenance of images that visitors of a link left, because the answer on them was wrong."""
_CHUNK = 1_000
"""How many ids go into one question: databases limit them."""


@dataclass(frozen=True, kw_only=True)
class ProvenanceRecord(Provenance):
    """The provenance that came with an image from one place."""

    kind: str
    address: str
    """The file's path inside what was given, or its address on the web."""
    found_at: datetime

    @property
    def name(self) -> str:
        """The file's own name."""
        return file_name(self.address)


NAMES = tuple(field.name for field in fields(ProvenanceRecord))
COLUMNS = tuple(getattr(models.ProvenanceRow, name) for name in NAMES)
"""What a question selects for `record_of`: columns alone, since whole rows take about twice as long."""


def record_of(values: Iterable[Any]) -> ProvenanceRecord:
    """Return the record of one row's `COLUMNS`."""
    return ProvenanceRecord(**dict(zip(NAMES, values, strict=True)))


def provenance_of(
    session: Session, project_id: int, image_ids: Collection[int]
) -> dict[int, tuple[ProvenanceRecord, ...]]:
    """Return the provenance of images by their ids, each image's in the order in which they came."""
    found = models.ProvenanceRow
    records: dict[int, tuple[ProvenanceRecord, ...]] = dict.fromkeys(image_ids, ())
    ids = list(records)
    for start in range(0, len(ids), _CHUNK):
        some = ids[start : start + _CHUNK]
        rows = session.execute(
            select(found.image_id, *COLUMNS)
            .where(found.project_id == project_id, found.image_id.in_(some))
            .order_by(found.id)
        )
        for image_id, *values in rows:
            records[image_id] += (record_of(values),)
    return records


def has_licence(project_id: int, image_id: QueryableAttribute[int]) -> ColumnElement[bool]:
    """Return the condition that a project knows what may be done with an image: a licence, or own work."""
    found = models.ProvenanceRow
    return (
        select(found.id)
        .where(
            found.project_id == project_id,
            found.image_id == image_id,
            or_(found.licence != "", found.kind.in_(OWN)),
        )
        .exists()
    )


def on_the_web(address: str) -> bool:
    """Whether an address can be made a link of: http and https, and nothing that runs."""
    return address.lower().startswith(("http://", "https://"))


def file_name(address: str) -> str:
    """Return the last part of a path or of a web address, made readable; its site where it has none."""
    if not on_the_web(address):
        return address.replace("\\", "/").rpartition("/")[2]
    try:
        parts = urlsplit(address)
    except ValueError:
        return address
    return " ".join(unquote(parts.path.rpartition("/")[2]).split()) or parts.netloc


CODES = ("by", "by-sa", "by-nc", "by-nd", "by-nc-sa", "by-nc-nd", "cc0", "pdm")
_HOME = r"\s*(?:https?:)?(?://)?(?:www\.)?creativecommons\.org"
_LICENCE = re.compile(
    _HOME + r"/licen[cs]es/(by(?:-nd-nc|(?:-nc)?(?:-nd|-sa)?))/(\d\.\d)(?:/(igo|scotland|[a-z]{2})\b)?",
    re.IGNORECASE,
)
_PUBLIC_DOMAIN = re.compile(_HOME + r"/publicdomain/(zero|mark)/(\d\.\d)", re.IGNORECASE)
_CODE = re.compile(r"(?:cc[- ]?)?(by(?:-nc)?(?:-nd|-sa)?)(?:[- ]?\d(?:\.\d.*)?)?$", re.IGNORECASE)


def licence_name(address: str) -> str:
    """Return the short name of the licence at an address, as in `CC BY-SA 4.0`; empty for others."""
    if found := _LICENCE.match(address):
        kind = found[1].upper().replace("-ND-NC", "-NC-ND")  # as it was called at first
        return " ".join(filter(None, ("CC", kind, found[2], (found[3] or "").upper())))
    if found := _PUBLIC_DOMAIN.match(address):
        return f"CC0 {found[2]}" if found[1].lower() == "zero" else f"Public Domain Mark {found[2]}"
    return ""


def code(name_or_address: str) -> str | None:
    """Return which of `CODES` a name (`CC BY-SA 4.0`, `by-sa`, `cc-by-2.0`) or an address stands for."""
    text = " ".join(name_or_address.split())
    name = (licence_name(text) or text).lower()
    if name.startswith(("cc0", "cc-zero", "cc zero")):
        return "cc0"
    if name.startswith(("public domain", "pdm")) or name in ("pd", "no restrictions"):
        return "pdm"
    found = _CODE.match(name)
    return found[1] if found and found[1] in CODES else None


def name_of_code(code: str) -> str:
    """Return a code as people write it: `CC BY-SA`."""
    return {"cc0": "CC0", "pdm": "Public Domain Mark"}.get(code, f"CC {code.upper()}")
