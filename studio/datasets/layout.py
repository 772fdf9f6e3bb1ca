"""Where a set of files keeps its classes and provenance: in folders' names, or in files that describe others."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from studio.datasets.class_styles import ClassLook, looks_of
from studio.datasets.names import ClassFolders, class_name_of
from studio.datasets.tables import class_in, provenance_in, text_of
from studio.errors import ArchiveRefused
from studio.i18n import _
from studio.images.provenance import Provenance, ProvenanceRecord
from studio.images.reasons import SkipReason

MANIFEST = "retrain-studio.json"
TABLE = "labels.csv"
VERSION = 1
STATES = ("unlabelled", "labelled", "rejected")
SPLITS = ("training", "validation", "testing")
CLASSES_FOLDER, UNLABELLED_FOLDER, REJECTED_FOLDER = "classes", "unlabelled", "rejected"
"""Where an export into class folders has its images; the others use the last two as well."""
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
"""file_name: the path in the export; name: the file's own. split: where the image falls; split_given: the
same where it was given, empty where a hash decides. The provenance are those of the place to be credited; places
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
_TEXTS = tuple(field.name for field in fields(ProvenanceRecord) if field.name != "found_at")


@dataclass(frozen=True)
class Manifest:
    """What an export says of itself."""

    kind: str
    """folders, csv, coco, hf or tfrecord."""
    project: str
    images: int
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
                    "pictures": self.images,
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


def places_json(places: Sequence[ProvenanceRecord]) -> Iterator[str]:
    """Yield all that is known of where an image was found, as JSON in pieces that fit a cell."""
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


def _place_json(place: ProvenanceRecord) -> str:
    texts = {name: text for name in _TEXTS if (text := getattr(place, name))}
    return json.dumps({**texts, "found_at": place.found_at.isoformat()}, ensure_ascii=False, sort_keys=True)


def places_of(text: str) -> tuple[ProvenanceRecord, ...]:
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


def _place(value: Mapping[str, Any]) -> ProvenanceRecord:
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
    return ProvenanceRecord(**texts, found_at=found_at)


def _text(value: object) -> str:
    """Return a text that any database takes."""
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise ValueError(_("a place has something else than text, or more than anyone reads"))
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value)


_SPLITS = {
    "train": "training",
    "training": "training",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "testing",
    "testing": "testing",
    "eval": "testing",
}
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Told:
    """What a row says. Empty: it does not say."""

    class_name: str | None = None
    provenance: Provenance = field(default_factory=Provenance)
    state: str = ""
    """unlabelled, labelled or rejected."""
    split: str = ""
    """training, validation or testing."""
    sha256: str = ""
    places: tuple[str, ...] = ()
    """All places where it was found, in the JSON of `studio.datasets.layout`."""
    where: str = ""
    """The table and the line, for messages."""


def told_in(cells: Mapping[str, object]) -> Told:
    """Return what a row of somebody's table says, by its columns' `column_name`s.

    An image that has a class and is said to be unlabelled is labelled: somebody has filled the class in.
    """
    class_name, state = class_in(cells), text_of(cells.get("state")).casefold()
    return Told(
        class_name,
        provenance_in(cells),
        settled(state, class_name),
        split_named(text_of(cells.get("split"))),
    )


def settled(state: str, class_name: str | None) -> str:
    """Return a state as it is meant, where beside it stands this class; empty where it is none."""
    if state == "unlabelled" and class_name is not None:
        return "labelled"
    return state if state in STATES and (state != "labelled" or class_name is not None) else ""


def digest_in(text: str) -> str:
    """Return a SHA-256 as it is kept, in small hexadecimal digits; empty for what is none."""
    text = text.strip().casefold()
    return text if _SHA256.fullmatch(text) else ""


def split_named(name: str) -> str:
    """Return our name of a part of a data set, such as `train`; empty for what names none."""
    return _SPLITS.get(name.casefold(), "")


def is_split(folder: str) -> bool:
    """Whether a folder's name is that of a part of a data set, as `train`."""
    return bool(split_named(folder))


ClassOf = Callable[[str], str | None]
"""Gives a file's class by its path among the others, or None where nothing says one."""


@dataclass(frozen=True)
class Unusable:
    """Something that was named and gives no image."""

    name: str
    reason: str
    why: str = SkipReason.OTHER


@dataclass(frozen=True)
class Absent:
    """An image that a description tells of, and whose file is not among the others."""

    name: str
    """The description's line, and the file."""
    told: Told
    reason: str
    """Why it is refused where it is not in the studio's store either."""
    why: str = SkipReason.MISSING


def _no_provenance(name: str) -> Provenance:
    return Provenance()


def _nothing_told(name: str) -> Told | None:
    return None


@dataclass(frozen=True)
class Layout:
    """What each of a set of files is, by its path among them."""

    class_of: ClassOf
    provenance_of: Callable[[str], Provenance] = _no_provenance
    descriptions: frozenset[str] = frozenset()
    """Files that were read to know this, and are not on offer as images."""
    unusable: tuple[Unusable, ...] = ()
    """What the descriptions say that cannot be followed."""
    told_of: Callable[[str], Told | None] = _nothing_told
    """What a description says of a file, or of an image in a file of records."""
    absent: tuple[Absent, ...] = ()
    stray_of: Callable[[str], Told | None] = _nothing_told
    """What the place of a file says that no row of an export tells of: it may be one of the absent, moved."""
    records: Mapping[str, int] = field(default_factory=dict)
    """Files that hold many images each, with how many."""
    record_labels: Callable[[str], Sequence[str]] = lambda name: ()
    """The names of the classes that such a file has by their numbers."""
    classes: tuple[ClassLook, ...] = ()
    copies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Images that are nearly the same, by the first of them; all by their SHA-256."""


def class_folders(names: Sequence[str]) -> Layout:
    """Return the layout of plain class folders, which may stand in folders of splits (`train/daisy`).

    Folders are splits when at least two of them stand side by side, everything that is in folders is in
    theirs, and none has a class that the one with most classes lacks: `test` beside `roses` is a class.
    """
    folders = ClassFolders([PurePosixPath(name) for name in names])
    root = _root_of_splits(names)

    def class_of(name: str) -> str | None:
        path = PurePosixPath(name)
        if root is None:
            return folders.class_of(path)
        below = path.parent.parts[len(root) :]
        inside = path.parts[: len(root)] == root and len(below) > 1 and is_split(below[0])
        return class_name_of(below[1]) if inside else None

    return Layout(class_of)


def _root_of_splits(names: Sequence[str]) -> tuple[str, ...] | None:
    """Return the folder in which the splits stand, or None where there are none."""
    classes: dict[str, set[str]] = defaultdict(set)
    roots, others = set(), set()
    for folders in {PurePosixPath(name).parent.parts for name in names}:
        depth = next((i for i, folder in enumerate(folders) if is_split(folder)), None)
        if depth is None:
            others.add(folders)
            continue
        roots.add(folders[:depth])
        classes[folders[depth]].update(folders[depth + 1 : depth + 2])
    most = max(classes.values(), key=len, default=set())
    if (
        len(roots) != 1
        or len(classes) == 1
        or not most
        or not all(found <= most for found in classes.values())
    ):
        return None
    root = roots.pop()
    return root if all(root[: len(other)] == other for other in others) else None
