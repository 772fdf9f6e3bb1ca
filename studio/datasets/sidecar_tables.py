"""Sidecar files that describe images by their file names: CSV tables and lines of JSON, read tolerantly."""

import io
import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import PurePosixPath
from typing import Any, TextIO

from studio.datasets.class_folders import folder_class
from studio.datasets.layout import (
    ClassOf,
    ImageMetadata,
    Layout,
    SkippedEntry,
    is_split,
    metadata_by_class,
    row_metadata,
)
from studio.datasets.names import clean_class_name
from studio.datasets.tables import (
    cell_text,
    column_name,
    detect_delimiter,
    line_too_long,
    open_text,
    read_lines,
    read_rows,
)
from studio.i18n import _
from studio.images.skip_reasons import SkipReason

MAX_ROWS = 500_000
_MAX_SHOWN_CHARACTERS = 200
_DRIVE = re.compile(r"^[A-Za-z]:")
_IMAGE_FOLDERS = frozenset(("images", "image", "imgs", "img", "pictures", "photos", "data"))
"""Folders in which data sets keep images of all classes."""
IsFileColumn = Callable[[str], bool]
"""Returns whether a column names files, by its `column_name`."""


@dataclass(frozen=True, slots=True)
class SidecarRow:
    """A row of a sidecar by its columns' names, or the reason why it cannot be read."""

    line: int
    cells: Mapping[str, Any]
    error: str = ""


class FileFinder:
    """Finds files by the names that tables give them."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = frozenset(names)
        self._by_base_name: dict[str, list[str]] = {}

    def find(self, folder: PurePosixPath, file: str) -> str | None:
        """Return the file that a sidecar in `folder` names: the one of that path from there, or None.

        Otherwise the only file whose path ends so, or the only one of that name: images often lie in a
        folder beside the table, which it does not name.
        """
        exact = (folder / file).as_posix()
        if exact in self.names:
            return exact
        path = PurePosixPath(file)
        same_name = self._index().get(path.name, [])
        same_end = [name for name in same_name if name.endswith(f"/{path.as_posix()}")]
        candidates = same_end or same_name
        return candidates[0] if len(candidates) == 1 else None

    def _index(self) -> dict[str, list[str]]:
        if not self._by_base_name:
            by_base_name = defaultdict(list)
            for name in self.names:
                by_base_name[PurePosixPath(name).name].append(name)
            self._by_base_name = by_base_name
        return self._by_base_name


@dataclass
class SidecarReader:
    """Reads sidecars one after the other and collects what they say of images."""

    find: Callable[[PurePosixPath, str], str | None]
    """Returns the path of the file that a sidecar in a folder names, or None."""
    images: dict[str, ImageMetadata] = field(default_factory=dict)
    """Metadata by the path of the image."""
    skipped: dict[str, SkippedEntry] = field(default_factory=dict)

    def skip(self, name: str, reason: str, skip_reason: str = SkipReason.OTHER) -> None:
        """Record an entry that cannot be followed."""
        self.skipped[name] = SkippedEntry(name, reason, skip_reason)

    def rows(self, name: str, data: bytes, is_file: IsFileColumn) -> Iterator[tuple[str, SidecarRow]]:
        """Yield the rows of a .csv or .jsonl that can be read, each with its location for messages."""
        stream = open_text(io.BytesIO(data))
        rows = json_rows(stream) if name.casefold().endswith(".jsonl") else csv_rows(stream, is_file)
        for count, row in enumerate(rows, start=1):
            location = _("{file}, line {line}").format(file=name, line=row.line)
            if count > MAX_ROWS:
                self.skip(
                    location,
                    _("{location}: more than {limit} rows; the rest is not read.").format(
                        location=location, limit=f"{MAX_ROWS:,}"
                    ),
                    SkipReason.LIMIT,
                )
                return
            if row.error:
                reason = _("{location} cannot be read: {reason}.")
                self.skip(location, reason.format(location=location, reason=row.error))
            else:
                yield location, row

    def read(self, name: str, data: bytes, is_file: IsFileColumn) -> bool:
        """Read one sidecar; return whether it names images at all."""
        names_files = False
        for location, row in self.rows(name, data, is_file):
            columns = [column for column in row.cells if is_file(column)]
            names_files = names_files or bool(columns)
            files = [file for column in columns if (file := file_path(row.cells[column]))]
            if columns and not files:
                reason = _("{location} names no file in its column file_name.")
                self.skip(location, reason.format(location=location))
            for file in files:
                self.add(name, location, file, row_metadata(row.cells))
        if not names_files:
            reason = _("{name} is not used: expected a column file_name with the images' paths.")
            self.skip(name, reason.format(name=name))
        return names_files

    def add(self, sidecar: str, location: str, file: str, metadata: ImageMetadata) -> bool:
        """Keep the metadata of a file; return whether the file is there, and was not described before."""
        entry = entry_name(location, file)
        if leaves_folder(file):
            self.skip(entry, _("{entry} leads out of the folder: refused.").format(entry=entry))
            return False
        name = self.find(PurePosixPath(sidecar).parent, file)
        if name is None:
            self.skip(entry, _("{entry} is not there.").format(entry=entry), SkipReason.MISSING)
        elif name in self.images:
            self.skip(entry, _("{entry} was described before; the first row counts.").format(entry=entry))
        else:
            self.images[name] = metadata
            return True
        return False

    def layout(self, names: Sequence[str], sidecars: Iterable[str], class_of: ClassOf) -> Layout:
        """Return the layout of all files.

        names: their paths. sidecars: those that describe others. class_of: gives a class to a file that has
        none from its row, unless its row says that it has none.
        """
        images = metadata_by_class((name for name in names if name not in self.images), class_of)
        for name, metadata in self.images.items():
            has_state = metadata.state in ("unlabelled", "rejected")
            images[name] = (
                metadata if metadata.class_name or has_state else replace(metadata, class_name=class_of(name))
            )
        return Layout(images, frozenset(sidecars), tuple(self.skipped.values()))


def class_below(names: Sequence[str], sidecars: Iterable[str]) -> ClassOf:
    """Return the function that gives a file the class of its folder in a data set with sidecars.

    names: all files' paths. sidecars: those that name images. The class is the first folder below the one
    that holds all sidecars that is neither a split nor one for images of all classes.
    """
    sidecar_folders = [PurePosixPath(name).parent.parts for name in sidecars]
    root = _common_root(sidecar_folders)
    if root and is_split(root[-1]):
        root = root[:-1]
    folders = {PurePosixPath(name).parent.parts for name in names if "/" in name}
    if not sidecar_folders or not all(_holds(root, each) or _holds(each, root) for each in folders):
        return folder_class(names)  # some folders have sidecars, others not: nothing holds them all

    def class_of(name: str) -> str | None:
        below = PurePosixPath(name).parent.parts[len(root) :]
        classes = (
            folder for folder in below if not is_split(folder) and folder.casefold() not in _IMAGE_FOLDERS
        )
        return clean_class_name(next(classes, ""))

    return class_of


def _common_root(folders: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the deepest folder that holds all of these."""
    levels = takewhile(lambda level: len(set(level)) == 1, zip(*folders, strict=False))
    return tuple(level[0] for level in levels)


def _holds(outer: tuple[str, ...], inner: tuple[str, ...]) -> bool:
    return inner[: len(outer)] == outer


def entry_name(location: str, file: str) -> str:
    """Return a sidecar's line and the file that it names, for messages."""
    return _("{location}: {file}").format(location=location, file=cell_text(file)[:_MAX_SHOWN_CHARACTERS])


def file_path(value: object) -> str:
    """Return a path from a table as the studio writes paths: forward slashes, NFC; empty for no text."""
    return unicodedata.normalize("NFC", value.strip().replace("\\", "/")) if isinstance(value, str) else ""


def leaves_folder(file: str) -> bool:
    """Return whether a path leads out of the folder of the sidecar that names it."""
    path = PurePosixPath(file)
    return path.is_absolute() or ".." in path.parts or bool(_DRIVE.match(file))


def csv_columns(stream: TextIO, is_file: IsFileColumn) -> tuple[str, list[str]] | None:
    """Return the delimiter and the columns of a CSV that names files; None for any other text."""
    header = next((line for line in read_lines(stream) if line and line.strip()), "")
    delimiter = detect_delimiter(header, is_file)
    stream.seek(0)
    if delimiter is None:
        return None
    header_row = next((row for row in read_rows(stream, delimiter) if row.cells), None)
    stream.seek(0)
    return delimiter, [column_name(cell) for cell in header_row.cells] if header_row else []


def csv_rows(stream: TextIO, is_file: IsFileColumn) -> Iterator[SidecarRow]:
    """Yield the rows of a CSV that names files; none of any other text."""
    header = csv_columns(stream, is_file)
    if header is None:
        return
    delimiter, columns = header
    is_header = True
    for row in read_rows(stream, delimiter):
        if is_header and row.cells:
            is_header = False
            continue
        cells = row.cells + [""] * (len(columns) - len(row.cells))
        yield SidecarRow(row.line, dict(zip(columns, cells, strict=False)), row.error)


def json_rows(stream: TextIO) -> Iterator[SidecarRow]:
    """Yield the objects of lines of JSON."""
    for number, line in enumerate(read_lines(stream), start=1):
        if line is None:
            yield SidecarRow(number, {}, line_too_long())
        elif line.strip():
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                value = None
            if isinstance(value, dict):
                yield SidecarRow(number, {column_name(key): cell for key, cell in value.items()})
            else:
                yield SidecarRow(number, {}, _("it is no JSON object"))
