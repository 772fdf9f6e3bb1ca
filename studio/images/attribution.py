"""Attribution: the authors and licences of a project's images, as a table and as a text."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import models
from studio.csv_cells import csv_cell
from studio.i18n import _, counted
from studio.images.provenance import COLUMNS as PROVENANCE_COLUMNS
from studio.images.provenance import OWN_WORK_KINDS, ProvenanceRecord, is_web_url, record_from_row

COLUMNS = (
    "sha256",
    "name",
    "class",
    "title",
    "creator",
    "licence",
    "licence_address",
    "page_address",
    "address",
    "found_at",
    "robots",
    "kind",
)


@dataclass(frozen=True)
class ImageCredit:
    """An image with its class and all its provenance, in the order in which it was found."""

    sha256: str
    class_name: str
    places: tuple[ProvenanceRecord, ...]

    @property
    def credited(self) -> ProvenanceRecord | None:
        """The provenance to credit: the first with a licence, else of own work, else the first of all."""
        licensed = [place for place in self.places if place.licence]
        own = [place for place in self.places if place.kind in OWN_WORK_KINDS]
        return next(iter((*licensed, *own, *self.places)), None)


def image_credits(
    session: Session, project_id: int, class_of: Mapping[str, str] | None = None
) -> tuple[ImageCredit, ...]:
    """Return the credits of a project's images, sorted by class.

    class_of: the classes of the wanted images by their SHA-256; None: all that are labelled now.
    """
    found, image = models.ProvenanceRow, models.ImageRow
    wanted = _labelled_images(session, project_id) if class_of is None else class_of
    places: defaultdict[str, list[ProvenanceRecord]] = defaultdict(list)
    # Of the whole project, since a query cannot take as many hashes as may be wanted.
    for sha256, *values in session.execute(
        select(image.sha256, *PROVENANCE_COLUMNS)
        .join(image, image.id == found.image_id)
        .where(found.project_id == project_id)
        .order_by(found.id)
    ):
        if sha256 in wanted:
            places[sha256].append(record_from_row(values))
    return tuple(
        ImageCredit(sha256, class_name, tuple(places[sha256]))
        for class_name, sha256 in sorted((class_name, sha256) for sha256, class_name in wanted.items())
    )


def _labelled_images(session: Session, project_id: int) -> dict[str, str]:
    image, label, image_class = models.ImageRow, models.LabelRow, models.ImageClassRow
    found = session.execute(
        select(image.sha256, image_class.name)
        .join(label, label.image_id == image.id)
        .join(image_class, image_class.id == label.class_id)
        .where(label.project_id == project_id, label.state == "labelled")
    )
    return dict(found.all())


def as_csv(credits: Iterable[ImageCredit]) -> str:
    """Return a CSV with a line for every place of every image, under `COLUMNS`; times are in UTC."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for credit in credits:
        for place in credit.places or (None,):
            writer.writerow(map(csv_cell, _cells(credit, place)))
    return file.getvalue()


def _cells(credit: ImageCredit, place: ProvenanceRecord | None) -> tuple[str, ...]:
    if place is None:
        return (credit.sha256, "", credit.class_name, *[""] * (len(COLUMNS) - 3))
    return (
        credit.sha256,
        place.name,
        credit.class_name,
        place.title,
        place.creator,
        place.licence,
        place.licence_address,
        place.page_address,
        place.address,
        place.found_at.isoformat(),
        place.robots,
        place.kind,
    )


def as_text(credits: Iterable[ImageCredit]) -> str:
    """Return the text to publish with a set or model: a line an image, grouped by licence.

    Own work is only counted, since it needs no credit. Images of unknown licence come last.
    """
    licensed: defaultdict[str, list[ProvenanceRecord]] = defaultdict(list)
    unknown: list[ProvenanceRecord | None] = []
    own = 0
    for credit in credits:
        place = credit.credited
        if place is not None and place.licence:
            licensed[_one_line(place.licence)].append(place)
        elif place is not None and place.kind in OWN_WORK_KINDS:
            own += 1
        else:
            unknown.append(place)
    parts = [
        _licence_section(licence, len(places), (_credit_line(place) for place in places))
        for licence, places in sorted(licensed.items(), key=lambda group: group[0].casefold())
    ]
    if own:
        parts.append(_licence_section(_("Own work"), own, ()))
    if unknown:
        parts.append(
            _licence_section(_("Licence unknown"), len(unknown), (_credit_line(p) for p in unknown if p))
        )
    return "\n".join(parts)


def _licence_section(name: str, count: int, lines: Iterable[str]) -> str:
    heading = f"{name}: {counted('{count} image', '{count} images', count)}"
    return "".join(f"{line}\n" for line in (heading, *sorted(set(lines), key=str.casefold)))


def _credit_line(place: ProvenanceRecord) -> str:
    """Return «“Title” by Creator (page), CC BY 2.0 (licence's address)», as far as known."""
    text = _("“{title}”").format(title=_one_line(place.title or place.name))
    if place.creator:
        text = _("{title} by {creator}").format(title=text, creator=_one_line(place.creator))
    page = place.page_address or place.address
    if is_web_url(page):
        text += f" ({_one_line(page)})"
    if place.licence:
        text += f", {_one_line(place.licence)}"
    if is_web_url(place.licence_address):
        text += f" ({_one_line(place.licence_address)})"
    return text


def _one_line(text: str) -> str:
    """Return a text from the web on one line, without control characters."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(text.split())
