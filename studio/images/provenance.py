"""The provenance of a project's images: every place where each was found, and its licence, if known."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import QueryableAttribute, Session

from db import models
from studio.i18n import _


@dataclass(frozen=True)
class Provenance:
    """The page, author and licence of an image, as one place states them; empty means unknown."""

    page_address: str = ""
    title: str = ""
    creator: str = ""
    licence: str = ""
    licence_address: str = ""
    robots: str = ""


VISITOR = "visitor"
"""The kind of provenance of images that visitors of a share link sent as feedback."""


@dataclass(frozen=True)
class ProvenanceKind:
    """A way by which images come into a project."""

    name: str
    """As it is stored."""
    title: str
    """For people."""
    is_own_work: bool = False
    """Whether it is a person's own work, which needs no licence."""


_KINDS = (
    ProvenanceKind("folder", _("from a folder")),
    ProvenanceKind("archive", _("from an archive")),
    ProvenanceKind("upload", _("uploaded")),
    ProvenanceKind("camera", _("taken with the camera"), is_own_work=True),
    ProvenanceKind("drawing", _("generated sample shapes"), is_own_work=True),
    ProvenanceKind("download", _("downloaded")),
    ProvenanceKind("crawl", _("crawled from web pages")),
    ProvenanceKind("list", _("from a list of URLs")),
    ProvenanceKind(VISITOR, _("reported by a visitor")),
)
PROVENANCE_KINDS = {kind.name: kind for kind in _KINDS}
"""By name, in the order of the pages. Search services have kinds of their own: their names."""
OWN_WORK_KINDS = tuple(kind.name for kind in _KINDS if kind.is_own_work)


_CHUNK = 1_000
"""The most ids in one query: databases limit them."""


@dataclass(frozen=True, kw_only=True)
class ProvenanceRecord(Provenance):
    """One place where an image was found."""

    kind: str
    address: str
    """The file's path in the folder or archive, or its URL."""
    found_at: datetime

    @property
    def name(self) -> str:
        """The file's own name."""
        return file_name(self.address)


FIELD_NAMES = tuple(field.name for field in fields(ProvenanceRecord))
COLUMNS = tuple(getattr(models.ProvenanceRow, name) for name in FIELD_NAMES)
"""The columns to select for `record_from_row`: whole ORM rows take about twice as long."""


def record_from_row(values: Iterable[Any]) -> ProvenanceRecord:
    """Return the record of one row's `COLUMNS`."""
    return ProvenanceRecord(**dict(zip(FIELD_NAMES, values, strict=True)))


def provenance_of(
    session: Session, project_id: int, image_ids: Collection[int]
) -> dict[int, tuple[ProvenanceRecord, ...]]:
    """Return the provenance of images by their ids, in the order in which they were found."""
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
            records[image_id] += (record_from_row(values),)
    return records


def has_licence(project_id: int, image_id: QueryableAttribute[int]) -> ColumnElement[bool]:
    """Return the SQL condition that an image has a known licence in a project, or is own work."""
    found = models.ProvenanceRow
    return (
        select(found.id)
        .where(
            found.project_id == project_id,
            found.image_id == image_id,
            or_(found.licence != "", found.kind.in_(OWN_WORK_KINDS)),
        )
        .exists()
    )


def is_web_url(address: str) -> bool:
    """Return whether an address is http or https, and so safe as a link."""
    return address.lower().startswith(("http://", "https://"))


def file_name(address: str) -> str:
    """Return the file name in a path or URL, decoded; the host for a URL without one."""
    if not is_web_url(address):
        return address.replace("\\", "/").rpartition("/")[2]
    try:
        parts = urlsplit(address)
    except ValueError:
        return address
    return " ".join(unquote(parts.path.rpartition("/")[2]).split()) or parts.netloc


LICENCE_CODES = ("by", "by-sa", "by-nc", "by-nd", "by-nc-sa", "by-nc-nd", "cc0", "pdm")
_CREATIVE_COMMONS = r"\s*(?:https?:)?(?://)?(?:www\.)?creativecommons\.org"
_LICENCE_URL = re.compile(
    _CREATIVE_COMMONS
    + r"/licen[cs]es/(by(?:-nd-nc|(?:-nc)?(?:-nd|-sa)?))/(\d\.\d)(?:/(igo|scotland|[a-z]{2})\b)?",
    re.IGNORECASE,
)
_PUBLIC_DOMAIN_URL = re.compile(_CREATIVE_COMMONS + r"/publicdomain/(zero|mark)/(\d\.\d)", re.IGNORECASE)
_CODE_NAME = re.compile(r"(?:cc[- ]?)?(by(?:-nc)?(?:-nd|-sa)?)(?:[- ]?\d(?:\.\d.*)?)?$", re.IGNORECASE)


def licence_name(address: str) -> str:
    """Return the short name of the licence at an address, as in `CC BY-SA 4.0`; empty for others."""
    if found := _LICENCE_URL.match(address):
        kind = found[1].upper().replace("-ND-NC", "-NC-ND")  # its first name
        return " ".join(filter(None, ("CC", kind, found[2], (found[3] or "").upper())))
    if found := _PUBLIC_DOMAIN_URL.match(address):
        return f"CC0 {found[2]}" if found[1].lower() == "zero" else f"Public Domain Mark {found[2]}"
    return ""


def licence_code(name_or_address: str) -> str | None:
    """Return the licence code of a name (`CC BY-SA 4.0`, `by-sa`, `cc-by-2.0`) or URL; None for others."""
    text = " ".join(name_or_address.split())
    name = (licence_name(text) or text).lower()
    if name.startswith(("cc0", "cc-zero", "cc zero")):
        return "cc0"
    if name.startswith(("public domain", "pdm")) or name in ("pd", "no restrictions"):
        return "pdm"
    found = _CODE_NAME.match(name)
    return found[1] if found and found[1] in LICENCE_CODES else None


def licence_code_name(code: str) -> str:
    """Return a code as people write it: `CC BY-SA`."""
    return {"cc0": "CC0", "pdm": "Public Domain Mark"}.get(code, f"CC {code.upper()}")
