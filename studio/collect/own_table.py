"""The table and the description that every export of the studio's own has, and that bring all of it back.

`labels.csv` has a line for each picture; `retrain-studio.json` beside it says what the folder is, and the
classes in their order. docs/decisions/0041 says why they are shaped so.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from studio.collect.class_looks import ClassLook, looks_of
from studio.collect.papers import PaperRecord
from studio.errors import ArchiveRefused
from studio.language import _

MANIFEST = "retrain-studio.json"
TABLE = "labels.csv"
VERSION = 1
STATES = ("unlabelled", "labelled", "rejected")
SPLITS = ("training", "validation", "testing")
CLASSES_FOLDER, UNLABELLED_FOLDER, REJECTED_FOLDER = "classes", "unlabelled", "rejected"
"""Where an export into class folders has its pictures; the others use the last two as well."""
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
"""file_name: the path in the export; name: the file's own. split: where the picture falls; split_given: the
same where it was given, empty where a hash decides. The papers are those of the place to be credited; places
has all of them as JSON, exactly. copy_group: the SHA-256 of the first of those that are nearly the same."""
CELL_CHARACTERS = 30_000
"""Spreadsheets cut cells that are longer than 32,767. What does not fit goes on in a line of its own."""

_FORMAT = "retrain-studio"
_OURS = frozenset(("file_name", "sha256", "state", "split_given", "places"))
_LONGEST_MANIFEST_BYTES = 20_000_000
_LONGEST_ADDRESS_BYTES = 2_500
"""PostgreSQL's index of addresses takes no longer ones."""
_LONGEST_TEXT = 20_000
_MAX_PLACES = 10_000
_KIND = re.compile(r"[a-z_]{1,32}")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_TEXTS = tuple(field.name for field in fields(PaperRecord) if field.name != "found_at")


@dataclass(frozen=True)
class Manifest:
    """What an export says of itself."""

    kind: str
    """folders, csv, coco, hf or tfrecord."""
    project: str
    pictures: int
    classes: tuple[ClassLook, ...]

    def to_json(self) -> str:
        """Return the content of `retrain-studio.json`."""
        return (
            json.dumps(
                {
                    "format": _FORMAT,
                    "version": VERSION,
                    "kind": self.kind,
                    "project": self.project,
                    "pictures": self.pictures,
                    "table": TABLE,
                    "classes": [vars(look) for look in self.classes],
                },
                ensure_ascii=False,
                indent=1,
            )
            + "\n"
        )


def read_manifest(data: bytes, name: str) -> Manifest | None:
    """Return what `retrain-studio.json` says, or None where it is something else.

    name: for messages. Raises ArchiveRefused where a newer program has written it, since it may mean what
    this one does not understand.
    """
    try:
        read = json.loads(data) if len(data) <= _LONGEST_MANIFEST_BYTES else None
    except (ValueError, RecursionError):  # bytes that are no text are a ValueError as well
        return None
    if not isinstance(read, dict) or read.get("format") != _FORMAT:
        return None
    version = read.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise ArchiveRefused(
            _(
                "{name} was written by a newer version of Retrain Studio: expected version {expected}, got "
                "{version}. Update the program."
            ).format(name=name, expected=VERSION, version=str(version)[:20])
        )
    kind, project = read.get("kind"), read.get("project")
    return Manifest(
        kind if isinstance(kind, str) else "",
        project if isinstance(project, str) else "",
        0,
        looks_of(read.get("classes")),
    )


def is_ours(columns: Sequence[str]) -> bool:
    """Whether a table is one of an export's, by its columns."""
    return set(columns) >= _OURS


def places_json(places: Sequence[PaperRecord]) -> Iterator[str]:
    """Yield all that is known of where a picture was found, as JSON in pieces that fit a cell."""
    piece: list[str] = []
    length = 2
    for place in places:
        text = _place_json(place)
        if piece and length + len(text) + 2 > CELL_CHARACTERS:
            yield f"[{', '.join(piece)}]"
            piece, length = [], 2
        piece.append(text)
        length += len(text) + 2
    yield f"[{', '.join(piece)}]"


def _place_json(place: PaperRecord) -> str:
    texts = {name: text for name in _TEXTS if (text := getattr(place, name))}
    return json.dumps({**texts, "found_at": place.found_at.isoformat()}, ensure_ascii=False, sort_keys=True)


def places_of(text: str) -> tuple[PaperRecord, ...]:
    """Return the places that a piece of JSON tells of.

    Raises ValueError, saying why, for what is not as `places_json` writes it.
    """
    if not text:
        return ()
    try:
        values = json.loads(text)
    except RecursionError as error:
        raise ValueError(_("it is no list of places")) from error
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise ValueError(_("it is no list of places"))
    if len(values) > _MAX_PLACES:
        raise ValueError(_("it has more than {limit} places").format(limit=f"{_MAX_PLACES:,}"))
    return tuple(_place(value) for value in values)


def _place(value: Mapping[str, Any]) -> PaperRecord:
    texts = {name: _text(value.get(name, "")) for name in _TEXTS}
    if len(texts["address"].encode()) > _LONGEST_ADDRESS_BYTES:
        raise ValueError(
            _("an address is longer than {limit} bytes").format(limit=f"{_LONGEST_ADDRESS_BYTES:,}")
        )
    if not _KIND.fullmatch(texts["kind"]):
        raise ValueError(_("a place has no kind"))
    try:
        found_at = datetime.fromisoformat(_text(value.get("found_at", "")))
        found_at = found_at.replace(tzinfo=found_at.tzinfo or UTC).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(_("a time is out of all reach")) from error
    return PaperRecord(**texts, found_at=found_at)


def _text(value: object) -> str:
    """Return a text that any database takes."""
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise ValueError(_("a place has something else than text, or more than anyone reads"))
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value)
