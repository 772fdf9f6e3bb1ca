"""The studio's own table of an export, `labels.csv`, and its description, `retrain-studio.json`.

Both stand beside the images of every export format. They hold all that an export must bring back.
"""

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import IO, Any

from sqlalchemy.orm import Session

from studio.csv_cells import csv_cell
from studio.datasets.class_styles import ClassStyle, parse_class_styles
from studio.datasets.project_contents import ProjectContents, ProjectImage, with_provenance
from studio.errors import ArchiveRefused
from studio.i18n import _
from studio.images.attribution import ImageCredit
from studio.images.provenance import ProvenanceRecord

MANIFEST = "retrain-studio.json"
TABLE = "labels.csv"
VERSION = 1
COLUMNS = (
    "file_name",
    "sha256",
    "name",
    "label",
    "state",
    "split",
    "split_given",
    "width",
    "height",
    "bytes",
    "format",
    "licence",
    "licence_address",
    "creator",
    "title",
    "page_address",
    "address",
    "found_at",
    "robots",
    "kind",
    "copy_group",
    "places",
)
"""file_name: the path in the export; name: the file's own. split: the split of a retraining with default
settings; split_given: the split that came with the image, empty where a hash decides. licence to kind: the
provenance that is credited; places: all provenance records as JSON, exactly. copy_group: the SHA-256 of the
first image of the group of near-duplicates."""
MAX_CELL_CHARACTERS = 30_000
"""Spreadsheets cut cells that are longer than 32,767. What does not fit goes on in a line of its own."""
_FORMAT = "retrain-studio"
_REQUIRED_COLUMNS = frozenset(("file_name", "sha256", "state", "split_given", "places"))
_MAX_MANIFEST_BYTES = 20_000_000
_MAX_ADDRESS_BYTES = 2_500
"""PostgreSQL's index of addresses takes no longer ones."""
_MAX_TEXT_CHARACTERS = 20_000
_MAX_RECORDS = 10_000
_KIND = re.compile(r"[a-z_]{1,32}")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_TEXT_FIELDS = tuple(field.name for field in fields(ProvenanceRecord) if field.name != "found_at")


@dataclass(frozen=True)
class Manifest:
    """The description of an export."""

    format_name: str
    """Name of a `DatasetFormat`: folders, csv, coco, hf or tfrecord."""
    project: str
    images: int
    classes: tuple[ClassStyle, ...]

    def to_json(self) -> str:
        """Return the content of `retrain-studio.json`."""
        return (
            json.dumps(
                {
                    "format": _FORMAT,
                    "version": VERSION,
                    "kind": self.format_name,
                    "project": self.project,
                    "pictures": self.images,
                    "table": TABLE,
                    "classes": [vars(style) for style in self.classes],
                },
                ensure_ascii=False,
                indent=1,
            )
            + "\n"
        )


def read_manifest(data: bytes, name: str) -> Manifest | None:
    """Return the manifest in `retrain-studio.json`, or None where the file is something else.

    name: for messages. Raises ArchiveRefused where a newer version of the studio has written it, since it
    may hold what this version does not understand.
    """
    try:
        content = json.loads(data) if len(data) <= _MAX_MANIFEST_BYTES else None
    except (ValueError, RecursionError):  # bytes that are no text are a ValueError as well
        return None
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        return None
    version = content.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise ArchiveRefused(
            _(
                "{name} was written by a newer version of Retrain Studio: expected version {expected}, got "
                "{version}. Update the program."
            ).format(name=name, expected=VERSION, version=str(version)[:20])
        )
    kind, project = content.get("kind"), content.get("project")
    return Manifest(
        kind if isinstance(kind, str) else "",
        project if isinstance(project, str) else "",
        0,
        parse_class_styles(content.get("classes")),
    )


def is_export_table(columns: Sequence[str]) -> bool:
    """Return whether a table is that of an export, by its columns."""
    return set(columns) >= _REQUIRED_COLUMNS


def write_table(session: Session, file: IO[str], contents: ProjectContents, paths: Mapping[int, str]) -> None:
    """Write `labels.csv`: a line an image under `COLUMNS`, and more where its provenance fills a cell.

    paths: the path in the export by the image's id; images that are lost have none.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for image, records in with_provenance(session, contents.project_id, contents.images):
        for piece in provenance_json(records):
            writer.writerow([*map(csv_cell, _cells(image, records, paths.get(image.image_id, ""))), piece])


def _cells(image: ProjectImage, records: tuple[ProvenanceRecord, ...], path: str) -> tuple[str, ...]:
    credited = ImageCredit(image.sha256, "", records).credited or _NO_RECORD
    return (
        path,
        image.sha256,
        image.name,
        image.class_name or "",
        image.state,
        image.split,
        image.split_given,
        str(image.width_px),
        str(image.height_px),
        str(image.size_bytes),
        image.format,
        credited.licence,
        credited.licence_address,
        credited.creator,
        credited.title,
        credited.page_address,
        credited.address,
        credited.found_at.isoformat() if records else "",
        credited.robots,
        credited.kind,
        image.duplicate_group,
    )


_NO_RECORD = ProvenanceRecord(kind="", address="", found_at=datetime.min.replace(tzinfo=UTC))


def provenance_json(records: Sequence[ProvenanceRecord]) -> Iterator[str]:
    """Yield all provenance of an image as JSON, in pieces that fit a cell."""
    piece: list[str] = []
    length = 2
    for record in records:
        text = _record_json(record)
        if piece and length + len(text) + 2 > MAX_CELL_CHARACTERS:
            yield f"[{', '.join(piece)}]"
            piece, length = [], 2
        piece.append(text)
        length += len(text) + 2
    yield f"[{', '.join(piece)}]"


def _record_json(record: ProvenanceRecord) -> str:
    texts = {name: text for name in _TEXT_FIELDS if (text := getattr(record, name))}
    return json.dumps({**texts, "found_at": record.found_at.isoformat()}, ensure_ascii=False, sort_keys=True)


def parse_provenance_json(text: str) -> tuple[ProvenanceRecord, ...]:
    """Return the provenance in a piece of JSON that `provenance_json` wrote.

    Raises ValueError with a reason for people where the JSON is anything else.
    """
    if not text:
        return ()
    try:
        values = json.loads(text)
    except RecursionError as error:
        raise ValueError(_("it is no list of places")) from error
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise ValueError(_("it is no list of places"))
    if len(values) > _MAX_RECORDS:
        raise ValueError(_("it has more than {limit} places").format(limit=f"{_MAX_RECORDS:,}"))
    return tuple(_parse_record(value) for value in values)


def _parse_record(value: Mapping[str, Any]) -> ProvenanceRecord:
    texts = {name: _storable_text(value.get(name, "")) for name in _TEXT_FIELDS}
    if len(texts["address"].encode()) > _MAX_ADDRESS_BYTES:
        raise ValueError(_("an address is longer than {limit} bytes").format(limit=f"{_MAX_ADDRESS_BYTES:,}"))
    if not _KIND.fullmatch(texts["kind"]):
        raise ValueError(_("a place has no kind"))
    try:
        found_at = datetime.fromisoformat(_storable_text(value.get("found_at", "")))
        found_at = found_at.replace(tzinfo=found_at.tzinfo or UTC).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(_("a time is out of range")) from error
    return ProvenanceRecord(**texts, found_at=found_at)


def _storable_text(value: object) -> str:
    """Return a text that any database takes."""
    if not isinstance(value, str) or len(value) > _MAX_TEXT_CHARACTERS:
        raise ValueError(
            _("a place has a value that is no text, or longer than {limit} characters").format(
                limit=f"{_MAX_TEXT_CHARACTERS:,}"
            )
        )
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value)
