"""Lists of image URLs: text with one per line, tables with a URL column, or pasted text."""

import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, TextIO

from studio.collect.web.urls import normalise_url
from studio.datasets.huggingface import is_file_column
from studio.datasets.tables import (
    Row,
    cell_text,
    column_name,
    detect_delimiter,
    is_web_address,
    line_too_long,
    open_text,
    read_lines,
    read_rows,
    row_class,
    row_provenance,
)
from studio.errors import ImageRefused, SourceMissing
from studio.i18n import _
from studio.images.provenance import Provenance

MAX_LINES = 1_000_000
MAX_BYTES = 200_000_000
_TABLES = (".csv", ".tsv")
_ENDINGS = (".txt", *_TABLES)
_URL_COLUMNS = ("url", "address", "link", "image", "src")
_SAMPLE_BYTES = 65_536
_SAMPLE_ROWS = 50
_MAX_SHOWN_CHARS = 200
_SCHEME = re.compile(r"[a-z][a-z0-9+.\-]*:", re.IGNORECASE)
# URLs may contain commas: one ends a URL only before white space or another URL.
_SEPARATOR = re.compile(r"\s+|[,;]+(?=\s|$|https?://)", re.IGNORECASE)
_WRAPPING = "<>\"'"


@dataclass(frozen=True, slots=True)
class ListedUrl:
    """An image URL in a list."""

    url: str
    """As `studio.collect.web.urls.normalise_url` gives it."""
    class_name: str | None
    provenance: Provenance


class SkippedLine(NamedTuple):
    """A part of a list that is not a URL."""

    text: str
    message: str
    """The reason in one sentence."""
    line: int


@dataclass(frozen=True)
class UrlList:
    """The URLs of a list, each once, with the class and provenance of its first occurrence."""

    entries: tuple[ListedUrl, ...]
    skipped: tuple[SkippedLine, ...]


def parse_url_list(content: str | bytes) -> UrlList:
    """Return the URLs in pasted text or in a file's bytes.

    URLs may be separated by lines, white space and commas; lines that begin with # are ignored. A text whose
    first line names a URL column is read as a table.
    """
    if isinstance(content, bytes):
        return _parse(open_text(io.BytesIO(content)))
    return _parse(io.StringIO(content.removeprefix("\N{BYTE ORDER MARK}"), newline=""))


def read_url_list(path: Path) -> UrlList:
    """Return the URLs in a .txt, .csv or .tsv file of at most 200 MB.

    Raises SourceMissing when the file does not exist, cannot be read or is larger.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SourceMissing(
                _("expected a list of URLs of at most {limit} MB; {name} is larger. Split it.").format(
                    limit=MAX_BYTES // 1_000_000, name=path.name
                )
            )
        with path.open("rb") as file:
            return _parse(open_text(file), is_table=path.suffix.lower() in _TABLES)
    except OSError as error:
        raise SourceMissing(
            _("The list {path} cannot be read: {why}.").format(path=path, why=error.strerror or error)
        ) from error


def is_url_list(path: Path) -> bool:
    """Return whether a file is a list of URLs, by its name's ending and its first 64 KB.

    A table that names files (`file_name`) is not one, nor is a text in which most lines are not URLs.
    """
    if path.suffix.lower() not in _ENDINGS:
        return False
    try:
        with path.open("rb") as file:
            head = file.read(_SAMPLE_BYTES)
    except OSError:
        return False
    if len(head) == _SAMPLE_BYTES:
        head = head[: head.rfind(b"\n") + 1]  # drop the last, incomplete line
    stream = open_text(io.BytesIO(head))
    if detect_delimiter(_first_line(stream), is_file_column):
        return False
    url_list = _parse(stream, is_table=path.suffix.lower() in _TABLES)
    return len(url_list.entries) > len(url_list.skipped)


@dataclass
class _ListBuilder:
    """Collects the entries of a list while it is read."""

    entries: dict[str, ListedUrl] = field(default_factory=dict)
    skipped: list[SkippedLine] = field(default_factory=list)

    def add(
        self, text: str, line: int, class_name: str | None = None, provenance: Provenance | None = None
    ) -> None:
        try:
            url = normalise_url(text)
        except ImageRefused as error:
            self.skip(text, str(error), line)
        else:
            self.entries.setdefault(url, ListedUrl(url, class_name, provenance or _NO_PROVENANCE))

    def skip(self, text: str, message: str, line: int) -> None:
        self.skipped.append(SkippedLine(cell_text(text)[:_MAX_SHOWN_CHARS], message, line))

    def ends_before(self, line: int) -> bool:
        """Return whether a line is beyond the limit, and record it as skipped if so."""
        if line <= MAX_LINES:
            return False
        self.skip("", _("only the first {limit} lines are read").format(limit=f"{MAX_LINES:,}"), line)
        return True


_NO_PROVENANCE = Provenance()


def _parse(stream: TextIO, *, is_table: bool = False) -> UrlList:
    first = _first_line(stream)
    delimiter = detect_delimiter(first, _URL_COLUMNS.__contains__)
    if delimiter is None and is_table:
        delimiter = detect_delimiter(first, lambda column: True)
    builder = _ListBuilder()
    if delimiter is None:
        _read_text(stream, builder)
    else:
        _read_table(read_rows(stream, delimiter), builder)
    return UrlList(tuple(builder.entries.values()), tuple(builder.skipped))


def _first_line(stream: TextIO) -> str:
    """Return the first line that is not blank or a comment, and rewind the stream."""
    content = (line for line in read_lines(stream) if line and not _is_blank_or_comment(line))
    first = next(content, "")
    stream.seek(0)
    return first


def _is_blank_or_comment(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _read_text(stream: TextIO, builder: _ListBuilder) -> None:
    for number, line in enumerate(read_lines(stream), start=1):
        if builder.ends_before(number):
            return
        if line is None:
            builder.skip("", line_too_long(), number)
        elif not _is_blank_or_comment(line):
            _read_line(line, number, builder)


def _read_line(line: str, number: int, builder: _ListBuilder) -> None:
    other_text: list[str] = []
    for part in _SEPARATOR.split(line.strip()):
        text = part.strip(_WRAPPING)
        if _SCHEME.match(text):
            builder.add(text, number)
        elif text:
            other_text.append(text)
    if other_text:  # one skipped entry per line
        builder.skip(" ".join(other_text), _no_url_message(), number)


def _no_url_message() -> str:
    return _("expected a URL that begins with http:// or https://")


def _read_table(table: Iterator[Row], builder: _ListBuilder) -> None:
    first = next((row for row in table if row.cells and not row.cells[0].startswith("#")), None)
    if first is None:
        return
    sample_rows = list(islice(table, _SAMPLE_ROWS))
    if any(is_web_address(cell) for cell in first.cells):  # no header
        columns, sample_rows = _column_names_for(first.cells), [first, *sample_rows]
    else:
        columns = [column_name(cell) for cell in first.cells]
    column = _url_column(columns, sample_rows)
    if column is None:
        message = _("no column holds URLs: expected one named url")
        builder.skip(" ".join(first.cells), message, first.line)
        return
    for row in chain(sample_rows, table):
        if builder.ends_before(row.line):
            return
        if row.error:
            builder.skip("", row.error, row.line)
        elif not row.cells[0].startswith("#"):
            cells = dict(zip(columns, row.cells, strict=False))
            url = row.cells[column] if column < len(row.cells) else ""
            if url:
                others = {name: cell for name, cell in cells.items() if name != columns[column]}
                builder.add(url, row.line, row_class(others), row_provenance(others))
            else:
                builder.skip(" ".join(row.cells), _no_url_message(), row.line)


def _column_names_for(cells: Sequence[str]) -> list[str]:
    """Return column names for a table without a header: with two columns, `url` and `class`."""
    if len(cells) == 2 and not all(is_web_address(cell) for cell in cells):  # noqa: PLR2004 - the two columns
        return ["url" if is_web_address(cell) else "class" for cell in cells]
    return [str(number) for number in range(len(cells))]


def _url_column(columns: Sequence[str], sample_rows: Sequence[Row]) -> int | None:
    """Return the index of the URL column: by name and content, else by content, else by name."""
    url_counts = Counter(
        i for row in sample_rows for i, cell in enumerate(row.cells[: len(columns)]) if is_web_address(cell)
    )
    named = [columns.index(name) for name in _URL_COLUMNS if name in columns]
    for column in named:
        if url_counts[column]:
            return column
    if len(url_counts) == 1:
        return next(iter(url_counts))
    return named[0] if named else None
