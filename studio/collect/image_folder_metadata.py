"""Hugging Face imagefolders: folders whose `metadata.csv` or `metadata.jsonl` describes their pictures.

The format: https://huggingface.co/docs/datasets/image_dataset#imagefolder
"""

import io
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import PurePosixPath
from typing import Any, TextIO

from studio.collect.layout import ClassOf, Layout, Unusable, class_folders, is_split
from studio.collect.names import class_name_of
from studio.collect.sources import Papers
from studio.collect.tables import (
    class_in,
    column_name,
    delimiter_of,
    lines,
    open_text,
    papers_in,
    rows,
    text_of,
    too_long_a_line,
)
from studio.collect.why import Why
from studio.language import _

MAX_ROWS = 500_000
_NAMES = ("metadata.csv", "metadata.jsonl")
_PARQUET = "metadata.parquet"
# Where such data sets keep pictures of all classes.
_PICTURES = frozenset(("images", "image", "imgs", "img", "pictures", "photos", "data"))
_DRIVE = re.compile(r"^[A-Za-z]:")


@dataclass(frozen=True)
class _Described:
    class_name: str | None
    papers: Papers


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    cells: Mapping[str, Any]
    fault: str = ""


def is_metadata(name: str) -> bool:
    """Whether a file is one to be read before the others, by its name."""
    return PurePosixPath(name).name.casefold() in _NAMES


def is_file_column(name: str) -> bool:
    """Whether a column names files, by its `column_name`."""
    return name == "file_name" or name.endswith("_file_name")


def image_folder(names: Sequence[str], notes: Mapping[str, bytes]) -> Layout | None:
    """Return the layout that metadata files give to files, or None where there is no metadata.

    names: all files' paths. notes: the content of those of which `is_metadata` is true. A picture's class is
    its row's label, else its folder; neither the data set's own folder nor splits nor `images` are classes.
    Rows that cannot be read, lead out, name a file that is not there or that was named before are unusable.
    """
    parquet = [name for name in names if PurePosixPath(name).name.casefold() == _PARQUET]
    if not notes and not parquet:
        return None
    read = _Reading(frozenset(names))
    used = [PurePosixPath(name).parent for name, data in sorted(notes.items()) if read.take(name, data)]
    for name in parquet:
        reason = _("{name} is a Parquet table, which is not read. Save it as metadata.csv beside it.")
        read.refuse(name, reason.format(name=name))
    folder_class = _class_in_folder(names, used)

    def class_of(name: str) -> str | None:
        found = read.described.get(name)
        return (found.class_name if found else None) or folder_class(name)

    def papers_of(name: str) -> Papers:
        found = read.described.get(name)
        return found.papers if found else Papers()

    return Layout(class_of, papers_of, frozenset((*notes, *parquet)), tuple(read.unusable.values()))


@dataclass
class _Reading:
    """What metadata files say of files, as they are read one after the other."""

    names: frozenset[str]
    described: dict[str, _Described] = field(default_factory=dict)
    unusable: dict[str, Unusable] = field(default_factory=dict)

    def refuse(self, name: str, reason: str, why: str = Why.OTHER) -> None:
        self.unusable[name] = Unusable(name, reason, why)

    def take(self, metadata: str, data: bytes) -> bool:
        """Read one file; returns whether it names pictures at all."""
        stream = open_text(io.BytesIO(data))
        found = _json_rows(stream) if metadata.casefold().endswith(".jsonl") else _csv_rows(stream)
        names_files = False
        for count, row in enumerate(found, start=1):
            place = _("{file}, line {line}").format(file=metadata, line=row.line)
            if count > MAX_ROWS:
                self.refuse(
                    place,
                    _("{place}: more than {limit} rows; the rest is not read.").format(
                        place=place, limit=f"{MAX_ROWS:,}"
                    ),
                    Why.LIMIT,
                )
                break
            if row.fault:
                self.refuse(place, _("{place} cannot be read: {why}.").format(place=place, why=row.fault))
                continue
            columns = [column for column in row.cells if is_file_column(column)]
            names_files = names_files or bool(columns)
            files = [file for column in columns if (file := _file(row.cells[column]))]
            if columns and not files:
                self.refuse(place, _("{place} names no file in its column file_name.").format(place=place))
            for file in files:
                self._describe(metadata, place, file, row.cells)
        if not names_files:
            reason = _("{name} is not used: expected a column file_name with the pictures' paths.")
            self.refuse(metadata, reason.format(name=metadata))
        return names_files

    def _describe(self, metadata: str, place: str, file: str, cells: Mapping[str, Any]) -> None:
        path = PurePosixPath(file)
        name = (PurePosixPath(metadata).parent / path).as_posix()
        shown = _("{place}: {file}").format(place=place, file=text_of(file))
        if path.is_absolute() or ".." in path.parts or _DRIVE.match(file):
            self.refuse(shown, _("{shown} leads out of the folder: refused.").format(shown=shown))
        elif name not in self.names:
            reason = _("{shown} is not there.")
            self.refuse(shown, reason.format(shown=shown), Why.MISSING)
        elif name in self.described:
            self.refuse(shown, _("{shown} was described before; the first row counts.").format(shown=shown))
        else:
            self.described[name] = _Described(class_in(cells), papers_in(cells))


def _file(value: object) -> str:
    """Return a path as metadata have it, as our own names are: slashes forward, letters put together."""
    return unicodedata.normalize("NFC", value.strip().replace("\\", "/")) if isinstance(value, str) else ""


def _csv_rows(stream: TextIO) -> Iterator[_Row]:
    header = next((line for line in lines(stream) if line and line.strip()), "")
    delimiter = delimiter_of(header, is_file_column)
    if delimiter is None:
        return
    stream.seek(0)
    table = rows(stream, delimiter)
    header_row = next((row for row in table if row.cells), None)
    columns = [column_name(cell) for cell in header_row.cells] if header_row else []
    for row in table:
        cells = row.cells + [""] * (len(columns) - len(row.cells))
        yield _Row(row.line, dict(zip(columns, cells, strict=False)), row.fault)


def _json_rows(stream: TextIO) -> Iterator[_Row]:
    for number, line in enumerate(lines(stream), start=1):
        if line is None:
            yield _Row(number, {}, too_long_a_line())
        elif line.strip():
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                value = None
            if isinstance(value, dict):
                yield _Row(number, {column_name(key): cell for key, cell in value.items()})
            else:
                yield _Row(number, {}, _("it is no JSON object"))


def _class_in_folder(names: Sequence[str], metadata_folders: Sequence[PurePosixPath]) -> ClassOf:
    """Return the function that gives a file the class that its place in the data set says, or None."""
    root = _common([folder.parts for folder in metadata_folders])
    if root and is_split(root[-1]):
        root = root[:-1]
    outside = {PurePosixPath(name).parent.parts for name in names if "/" in name}
    if not metadata_folders or not all(_holds(root, folders) or _holds(folders, root) for folders in outside):
        return class_folders(names).class_of  # some folders have metadata, others not: nothing holds them all

    def class_of(name: str) -> str | None:
        below = PurePosixPath(name).parent.parts[len(root) :]
        classes = (folder for folder in below if not is_split(folder) and folder.casefold() not in _PICTURES)
        return class_name_of(next(classes, ""))

    return class_of


def _common(folders: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the deepest folder that holds all of these."""
    levels = takewhile(lambda level: len(set(level)) == 1, zip(*folders, strict=False))
    return tuple(level[0] for level in levels)


def _holds(outer: tuple[str, ...], inner: tuple[str, ...]) -> bool:
    return inner[: len(outer)] == outer
