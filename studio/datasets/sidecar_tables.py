"""Tables and lines of JSON that describe images by their files' names: read whoever wrote them."""

import io
import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, TextIO

from studio.datasets.layout import Told, Unusable, told_in
from studio.datasets.tables import column_name, delimiter_of, lines, open_text, rows, text_of, too_long_a_line
from studio.i18n import _
from studio.images.reasons import SkipReason

MAX_ROWS = 500_000
_LONGEST_SHOWN = 200
_DRIVE = re.compile(r"^[A-Za-z]:")
IsFile = Callable[[str], bool]
"""Whether a column names files, by its `column_name`."""


@dataclass(frozen=True, slots=True)
class DescribedRow:
    """A row by its columns' names, or why it cannot be read."""

    line: int
    cells: Mapping[str, Any]
    fault: str = ""


class Files:
    """The files that there are, found as people name them."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = frozenset(names)
        self._by_last: dict[str, list[str]] = {}

    def find(self, folder: PurePosixPath, file: str) -> str | None:
        """Return the file that a description in `folder` means, by its path from there, or None.

        Otherwise the only file whose path ends so, or the only one of that name: images often lie in a
        folder beside the table, which it does not name.
        """
        exact = (folder / file).as_posix()
        if exact in self.names:
            return exact
        path = PurePosixPath(file)
        like = self._named().get(path.name, [])
        ending = [name for name in like if name.endswith(f"/{path.as_posix()}")]
        found = ending or like
        return found[0] if len(found) == 1 else None

    def _named(self) -> dict[str, list[str]]:
        if not self._by_last:
            by_last = defaultdict(list)
            for name in self.names:
                by_last[PurePosixPath(name).name].append(name)
            self._by_last = by_last
        return self._by_last


@dataclass
class Descriptions:
    """What descriptions say of files, as they are read one after the other."""

    find: Callable[[PurePosixPath, str], str | None]
    """Gives the file that a description in a folder means."""
    described: dict[str, Told] = field(default_factory=dict)
    unusable: dict[str, Unusable] = field(default_factory=dict)

    def refuse(self, name: str, reason: str, why: str = SkipReason.OTHER) -> None:
        """Note what cannot be followed."""
        self.unusable[name] = Unusable(name, reason, why)

    def rows(self, name: str, data: bytes, is_file: IsFile) -> Iterator[tuple[str, DescribedRow]]:
        """Yield the rows of a .csv or .jsonl that can be read, each with its place for messages."""
        stream = open_text(io.BytesIO(data))
        found = json_rows(stream) if name.casefold().endswith(".jsonl") else csv_rows(stream, is_file)
        for count, row in enumerate(found, start=1):
            place = _("{file}, line {line}").format(file=name, line=row.line)
            if count > MAX_ROWS:
                self.refuse(
                    place,
                    _("{place}: more than {limit} rows; the rest is not read.").format(
                        place=place, limit=f"{MAX_ROWS:,}"
                    ),
                    SkipReason.LIMIT,
                )
                return
            if row.fault:
                self.refuse(place, _("{place} cannot be read: {why}.").format(place=place, why=row.fault))
            else:
                yield place, row

    def take(self, name: str, data: bytes, is_file: IsFile) -> bool:
        """Read one description; returns whether it names images at all."""
        names_files = False
        for place, row in self.rows(name, data, is_file):
            columns = [column for column in row.cells if is_file(column)]
            names_files = names_files or bool(columns)
            files = [file for column in columns if (file := file_in(row.cells[column]))]
            if columns and not files:
                self.refuse(place, _("{place} names no file in its column file_name.").format(place=place))
            for file in files:
                self.describe(name, place, file, told_in(row.cells))
        if not names_files:
            reason = _("{name} is not used: expected a column file_name with the images' paths.")
            self.refuse(name, reason.format(name=name))
        return names_files

    def describe(self, description: str, place: str, file: str, told: Told) -> bool:
        """Note what is said of a file; returns whether it is there, and was not described before."""
        shown = shown_at(place, file)
        if leads_out(file):
            self.refuse(shown, _("{shown} leads out of the folder: refused.").format(shown=shown))
            return False
        name = self.find(PurePosixPath(description).parent, file)
        if name is None:
            reason = _("{shown} is not there.")
            self.refuse(shown, reason.format(shown=shown), SkipReason.MISSING)
        elif name in self.described:
            self.refuse(shown, _("{shown} was described before; the first row counts.").format(shown=shown))
        else:
            self.described[name] = told
            return True
        return False


def shown_at(place: str, file: str) -> str:
    """Return a description's line and the file that it names, for messages."""
    return _("{place}: {file}").format(place=place, file=text_of(file)[:_LONGEST_SHOWN])


def file_in(value: object) -> str:
    """Return a path as tables have it, as our own names are: slashes forward, letters put together."""
    return unicodedata.normalize("NFC", value.strip().replace("\\", "/")) if isinstance(value, str) else ""


def leads_out(file: str) -> bool:
    """Whether a path leads out of the folder of who names it."""
    path = PurePosixPath(file)
    return path.is_absolute() or ".." in path.parts or bool(_DRIVE.match(file))


def csv_columns(stream: TextIO, is_file: IsFile) -> tuple[str, list[str]] | None:
    """Return the delimiter and the columns of a CSV that names files; None for what does not."""
    header = next((line for line in lines(stream) if line and line.strip()), "")
    delimiter = delimiter_of(header, is_file)
    stream.seek(0)
    if delimiter is None:
        return None
    header_row = next((row for row in rows(stream, delimiter) if row.cells), None)
    stream.seek(0)
    return delimiter, [column_name(cell) for cell in header_row.cells] if header_row else []


def csv_rows(stream: TextIO, is_file: IsFile) -> Iterator[DescribedRow]:
    """Yield the rows of a CSV that names files."""
    found = csv_columns(stream, is_file)
    if found is None:
        return
    delimiter, columns = found
    header = True
    for row in rows(stream, delimiter):
        if header and row.cells:
            header = False
            continue
        cells = row.cells + [""] * (len(columns) - len(row.cells))
        yield DescribedRow(row.line, dict(zip(columns, cells, strict=False)), row.fault)


def json_rows(stream: TextIO) -> Iterator[DescribedRow]:
    """Yield the objects of lines of JSON."""
    for number, line in enumerate(lines(stream), start=1):
        if line is None:
            yield DescribedRow(number, {}, too_long_a_line())
        elif line.strip():
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                value = None
            if isinstance(value, dict):
                yield DescribedRow(number, {column_name(key): cell for key, cell in value.items()})
            else:
                yield DescribedRow(number, {}, _("it is no JSON object"))
