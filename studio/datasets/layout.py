"""The layout of a data set: what each of its files is, as the reader of its format found it.

A layout is plain data by path, so that it can be inspected: metadata of images, files of records, files that
describe others, and what those describe and cannot be followed.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from studio.datasets.class_styles import ClassStyle, merge_class_styles
from studio.datasets.tables import cell_text, row_class, row_provenance
from studio.images.provenance import Provenance
from studio.images.skip_reasons import SkipReason

STATES = ("unlabelled", "labelled", "rejected")
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
_UNKNOWN = Provenance()
ClassOf = Callable[[str], str | None]
"""Gives a file's class by its path among the others, or None where nothing names one."""


@dataclass(frozen=True, slots=True)
class ImageMetadata:
    """The metadata of an image in a dataset, from a row of a table or from its path. Empty: unknown."""

    class_name: str | None = None
    provenance: Provenance = _UNKNOWN
    state: str = ""
    """unlabelled, labelled or rejected."""
    split: str = ""
    """training, validation or testing."""
    sha256: str = ""
    """That of the file that is described."""
    provenance_json: tuple[str, ...] = ()
    """Every place where the image was found: JSON as `export_table.provenance_json` writes it."""
    location: str = ""
    """Where it is described, for messages: `labels.csv, line 3`."""


@dataclass(frozen=True)
class SkippedEntry:
    """An entry of a data set that gives no image, and the reason."""

    name: str
    reason: str
    skip_reason: str = SkipReason.OTHER


@dataclass(frozen=True)
class MissingImage:
    """An image that a table describes and whose file is not among the others."""

    name: str
    """The table's line, and the file."""
    metadata: ImageMetadata
    reason: str
    """Why it is skipped where it is not in the studio's store either."""
    skip_reason: str = SkipReason.MISSING


@dataclass(frozen=True)
class RecordFile:
    """A file that holds many images, as a TFRecord file does."""

    count: int
    """How many records it has."""
    class_names: Sequence[str] = ()
    """The names of classes by their numbers, for records that have only numbers."""
    metadata: Mapping[str, ImageMetadata] = field(default_factory=dict)
    """What tables say of its images, by the file's path, a slash and the image's name in the file."""


@dataclass(frozen=True)
class Layout:
    """The classes, metadata and provenance of a set of files, by their paths."""

    images: Mapping[str, ImageMetadata] = field(default_factory=dict)
    """The metadata of every file that this layout covers and that may be an image."""
    sidecars: frozenset[str] = frozenset()
    """Files that describe others, and are no images themselves."""
    skipped: tuple[SkippedEntry, ...] = ()
    """What sidecars describe and cannot be followed."""
    missing: tuple[MissingImage, ...] = ()
    unlisted: frozenset[str] = frozenset()
    """Files of an export that no row of its table names: each may be a missing image that was moved."""
    record_files: Mapping[str, RecordFile] = field(default_factory=dict)
    classes: tuple[ClassStyle, ...] = ()
    duplicate_groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Groups of near-duplicates: their members by the first of them, all by their SHA-256."""


def merge_layouts(layouts: Sequence[Layout]) -> Layout:
    """Return one layout of several that cover different files."""
    return Layout(
        images={name: metadata for layout in layouts for name, metadata in layout.images.items()},
        sidecars=frozenset(chain.from_iterable(layout.sidecars for layout in layouts)),
        skipped=tuple(chain.from_iterable(layout.skipped for layout in layouts)),
        missing=tuple(chain.from_iterable(layout.missing for layout in layouts)),
        unlisted=frozenset(chain.from_iterable(layout.unlisted for layout in layouts)),
        record_files={name: file for layout in layouts for name, file in layout.record_files.items()},
        classes=merge_class_styles(chain.from_iterable(layout.classes for layout in layouts)),
        duplicate_groups={
            first: members for layout in layouts for first, members in layout.duplicate_groups.items()
        },
    )


def metadata_by_class(names: Iterable[str], class_of: ClassOf) -> dict[str, ImageMetadata]:
    """Return metadata of files of which nothing but the class is known."""
    shared: dict[str | None, ImageMetadata] = {}  # one object a class: there may be 200,000 files
    found: dict[str, ImageMetadata] = {}
    for name in names:
        class_name = class_of(name)
        found[name] = shared.setdefault(class_name, ImageMetadata(class_name))
    return found


def row_metadata(cells: Mapping[str, object]) -> ImageMetadata:
    """Return the metadata in a row of a table, by its columns' `column_name`s."""
    class_name = row_class(cells)
    return ImageMetadata(
        class_name,
        row_provenance(cells),
        parse_state(cell_text(cells.get("state")).casefold(), class_name),
        parse_split(cell_text(cells.get("split"))),
    )


def parse_state(state: str, class_name: str | None) -> str:
    """Return the state of an image from its text and its class; empty where the text is no state.

    An image that has a class and is called unlabelled is labelled: somebody has filled the class in.
    """
    if state == "unlabelled" and class_name is not None:
        return "labelled"
    return state if state in STATES and (state != "labelled" or class_name is not None) else ""


def parse_sha256(text: str) -> str:
    """Return a SHA-256 as 64 lower-case hexadecimal digits; empty where the text is none."""
    text = text.strip().casefold()
    return text if _SHA256.fullmatch(text) else ""


def parse_split(name: str) -> str:
    """Return training, validation or testing for a usual name of a split, such as `train`; else empty."""
    return _SPLITS.get(name.casefold(), "")


def is_split(folder: str) -> bool:
    """Return whether a folder has a usual name of a split, such as `train`."""
    return bool(parse_split(folder))
