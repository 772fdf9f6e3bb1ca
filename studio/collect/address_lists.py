"""Lists of images' addresses: a text of one a line, a table with a column of them, or anything pasted."""

import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, TextIO

from studio.collect.web.urls import normal
from studio.datasets.imagefolder import is_file_column
from studio.datasets.tables import (
    Row,
    class_in,
    column_name,
    delimiter_of,
    is_address,
    lines,
    open_text,
    provenance_in,
    rows,
    text_of,
    too_long_a_line,
)
from studio.errors import ImageRefused, SourceMissing
from studio.i18n import _
from studio.images.provenance import Provenance

MAX_LINES = 1_000_000
MAX_BYTES = 200_000_000
_TABLES = (".csv", ".tsv")
_ENDINGS = (".txt", *_TABLES)
_ADDRESS_COLUMNS = ("url", "address", "link", "image", "src")
_HEAD_BYTES = 65_536
_LOOKED_AT_ROWS = 50
_SHOWN_CHARACTERS = 200
_SCHEME = re.compile(r"[a-z][a-z0-9+.\-]*:", re.IGNORECASE)
# An address may have commas in it: one ends it only before white space or another address.
_BETWEEN = re.compile(r"\s+|[,;]+(?=\s|$|https?://)", re.IGNORECASE)
_WRAPPING = "<>\"'"


@dataclass(frozen=True, slots=True)
class ListedAddress:
    """An image that a list names."""

    address: str
    """As `studio.collect.web.urls.normal` gives it."""
    class_name: str | None
    provenance: Provenance


class RefusedLine(NamedTuple):
    """A part of a list that is no address, and why."""

    text: str
    reason: str
    line: int


@dataclass(frozen=True)
class AddressList:
    """What a list says: each address once, with the class and provenance of where it stood first."""

    entries: tuple[ListedAddress, ...]
    refused: tuple[RefusedLine, ...]


def parse_addresses(given: str | bytes) -> AddressList:
    """Return the addresses in a text that was pasted, or in a file's bytes.

    Addresses may stand in any mixture of lines, white space and commas; lines that begin with # are passed
    over. A text whose first line names a column of addresses is read as a table.
    """
    if isinstance(given, bytes):
        return _parsed(open_text(io.BytesIO(given)))
    return _parsed(io.StringIO(given.removeprefix("\N{BYTE ORDER MARK}"), newline=""))


def read_address_list(path: Path) -> AddressList:
    """Return the addresses in a .txt, .csv or .tsv file of at most 200 MB.

    Raises SourceMissing when it is not there, cannot be read or is larger.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SourceMissing(
                _("expected a list of addresses of at most {limit} MB; {name} is larger. Split it.").format(
                    limit=MAX_BYTES // 1_000_000, name=path.name
                )
            )
        with path.open("rb") as file:
            return _parsed(open_text(file), is_table=path.suffix.lower() in _TABLES)
    except OSError as error:
        raise SourceMissing(
            _("The list {path} cannot be read: {why}.").format(path=path, why=error.strerror or error)
        ) from error


def is_address_list(path: Path) -> bool:
    """Whether a file is a list of addresses: by its ending and its first 64 KB.

    A table that names files (`file_name`) is not one, nor is a text in which most lines are something else.
    """
    if path.suffix.lower() not in _ENDINGS:
        return False
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    if len(head) == _HEAD_BYTES:
        head = head[: head.rfind(b"\n") + 1]  # not half a letter, nor half an address
    stream = open_text(io.BytesIO(head))
    if delimiter_of(_first_line(stream), is_file_column):
        return False
    found = _parsed(stream, is_table=path.suffix.lower() in _TABLES)
    return len(found.entries) > len(found.refused)


@dataclass
class _Found:
    """A list as it is read."""

    entries: dict[str, ListedAddress] = field(default_factory=dict)
    refused: list[RefusedLine] = field(default_factory=list)

    def add(
        self, text: str, line: int, class_name: str | None = None, provenance: Provenance | None = None
    ) -> None:
        try:
            address = normal(text)
        except ImageRefused as refusal:
            self.refuse(text, str(refusal), line)
        else:
            self.entries.setdefault(address, ListedAddress(address, class_name, provenance or _NO_PAPERS))

    def refuse(self, text: str, reason: str, line: int) -> None:
        self.refused.append(RefusedLine(text_of(text)[:_SHOWN_CHARACTERS], reason, line))

    def ends_before(self, line: int) -> bool:
        """Whether a line is beyond what is read of a list; if so, that is said."""
        if line <= MAX_LINES:
            return False
        self.refuse("", _("only the first {limit} lines are read").format(limit=f"{MAX_LINES:,}"), line)
        return True


_NO_PAPERS = Provenance()


def _parsed(stream: TextIO, *, is_table: bool = False) -> AddressList:
    first = _first_line(stream)
    delimiter = delimiter_of(first, _ADDRESS_COLUMNS.__contains__)
    if delimiter is None and is_table:
        delimiter = delimiter_of(first, lambda column: True)
    found = _Found()
    if delimiter is None:
        _read_text(stream, found)
    else:
        _read_table(rows(stream, delimiter), found)
    return AddressList(tuple(found.entries.values()), tuple(found.refused))


def _first_line(stream: TextIO) -> str:
    """Return the first line that says something, and go back to the start."""
    said = (line for line in lines(stream) if line and not _says_nothing(line))
    first = next(said, "")
    stream.seek(0)
    return first


def _says_nothing(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _read_text(stream: TextIO, found: _Found) -> None:
    for number, line in enumerate(lines(stream), start=1):
        if found.ends_before(number):
            return
        if line is None:
            found.refuse("", too_long_a_line(), number)
        elif not _says_nothing(line):
            _read_line(line, number, found)


def _read_line(line: str, number: int, found: _Found) -> None:
    words: list[str] = []
    for part in _BETWEEN.split(line.strip()):
        text = part.strip(_WRAPPING)
        if _SCHEME.match(text):
            found.add(text, number)
        elif text:
            words.append(text)
    if words:  # in one piece, however many they are
        found.refuse(" ".join(words), _no_address(), number)


def _no_address() -> str:
    return _("expected an address that begins with http:// or https://")


def _read_table(table: Iterator[Row], found: _Found) -> None:
    first = next((row for row in table if row.cells and not row.cells[0].startswith("#")), None)
    if first is None:
        return
    ahead = list(islice(table, _LOOKED_AT_ROWS))
    if any(is_address(cell) for cell in first.cells):  # no header
        columns, ahead = _unnamed(first.cells), [first, *ahead]
    else:
        columns = [column_name(cell) for cell in first.cells]
    column = _address_column(columns, ahead)
    if column is None:
        reason = _("no column holds addresses: expected one named url")
        found.refuse(" ".join(first.cells), reason, first.line)
        return
    for row in chain(ahead, table):
        if found.ends_before(row.line):
            return
        if row.fault:
            found.refuse("", row.fault, row.line)
        elif not row.cells[0].startswith("#"):
            cells = dict(zip(columns, row.cells, strict=False))
            address = row.cells[column] if column < len(row.cells) else ""
            if address:
                others = {name: cell for name, cell in cells.items() if name != columns[column]}
                found.add(address, row.line, class_in(others), provenance_in(others))
            else:
                found.refuse(" ".join(row.cells), _no_address(), row.line)


def _unnamed(cells: Sequence[str]) -> list[str]:
    """Return names for the columns of a table that has none: beside one of addresses, one of classes."""
    if len(cells) == 2 and not all(is_address(cell) for cell in cells):  # noqa: PLR2004 - the two columns
        return ["url" if is_address(cell) else "class" for cell in cells]
    return [str(number) for number in range(len(cells))]


def _address_column(columns: Sequence[str], ahead: Sequence[Row]) -> int | None:
    """Return which column holds the addresses: by its name and content, else by content, else by name."""
    holding = Counter(
        i for row in ahead for i, cell in enumerate(row.cells[: len(columns)]) if is_address(cell)
    )
    named = [columns.index(name) for name in _ADDRESS_COLUMNS if name in columns]
    for column in named:
        if holding[column]:
            return column
    if len(holding) == 1:
        return next(iter(holding))
    return named[0] if named else None
