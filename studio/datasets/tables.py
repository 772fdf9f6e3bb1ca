"""Tables as people save them: CSV of any delimiter in any usual encoding, and the columns that are known."""

import codecs
import csv
import io
import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, TextIO

from studio.datasets.names import clean_class_name
from studio.i18n import _
from studio.images.provenance import Provenance

MAX_LINE_CHARACTERS = 1_000_000
"""A longer line is left out and reported."""
NO_DELIMITER = "\x1f"
"""The delimiter of a table of one column: no text that people write has it."""
_DELIMITERS = ",\t;|"
_CHUNK_BYTES = 1 << 20
_MAX_TEXT_CHARACTERS = 1_000
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_ADDRESS = re.compile(r"https?://\S+", re.IGNORECASE)

_CLASS = ("label", "class", "class_name", "category")
_TITLE = ("title", "text", "caption")
_CREATOR = ("creator", "author", "artist")
_LICENCE = ("license", "licence")
_LICENCE_ADDRESS = ("license_url", "licence_url", "license_address", "licence_address")
_PAGE = ("page", "page_url", "page_address", "source_url", "source", "url")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table, or the reason why it cannot be read."""

    line: int
    """The number of its last line, from 1."""
    cells: list[str]
    error: str = ""


def open_text(file: BinaryIO) -> TextIO:
    """Return a file as text: by its byte order mark, else as UTF-8 where it is valid, else as cp949.

    Bytes that are invalid in both become replacement characters. Line ends stay as they are.
    """
    return io.TextIOWrapper(file, encoding=_encoding_of(file), errors="replace", newline="")


def _encoding_of(file: BinaryIO) -> str:
    head = file.read(3)
    file.seek(0)
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            return encoding
    return next((name for name in ("utf-8", "cp949") if _is_valid(file, name)), "utf-8")


def _is_valid(file: BinaryIO, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while chunk := file.read(_CHUNK_BYTES):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    finally:
        file.seek(0)
    return True


def read_lines(stream: TextIO) -> Iterator[str | None]:
    """Yield a text's lines with their ends; None for one of more than MAX_LINE_CHARACTERS."""
    while line := stream.readline(MAX_LINE_CHARACTERS + 1):
        if len(line) <= MAX_LINE_CHARACTERS or line.endswith(("\n", "\r")):
            yield line
            continue
        while (rest := stream.readline(MAX_LINE_CHARACTERS)) and not rest.endswith(("\n", "\r")):
            pass
        yield None


def read_rows(stream: TextIO, delimiter: str) -> Iterator[Row]:
    """Yield a CSV's rows that are not empty, each cell trimmed, with an error where one cannot be read."""
    too_long: list[int] = []

    def readable_lines() -> Iterator[str]:
        for number, line in enumerate(read_lines(stream), start=1):
            if line is None:
                too_long.append(number)
            yield "\n" if line is None else line

    reader = csv.reader(readable_lines(), delimiter=delimiter)
    while True:
        try:
            cells, error = [cell.strip() for cell in next(reader)], ""
        except StopIteration:
            break
        except csv.Error as csv_error:  # the reader goes on with the line after
            cells, error = [], str(csv_error)
        while too_long:
            yield Row(too_long.pop(0), [], line_too_long())
        if error or any(cells):
            yield Row(reader.line_num, cells, error)


def line_too_long() -> str:
    """Return the reason why a line that `read_lines` left out is skipped."""
    return _("it is longer than {limit} characters").format(limit=f"{MAX_LINE_CHARACTERS:,}")


def column_name(cell: str) -> str:
    """Return a column's name for comparison: `Page URL` is `page_url`."""
    return re.sub(r"[\s\-]+", "_", cell.strip().casefold())


def detect_delimiter(header: str, is_known: Callable[[str], bool]) -> str | None:
    """Return the delimiter by which a header has most columns, at least one of them known; None if none is.

    is_known: gets a `column_name`. A header of one known column has NO_DELIMITER.
    """
    best, most = None, 0
    for delimiter in _DELIMITERS:
        cells = split_line(header, delimiter)
        if len(cells) > most and any(is_known(column_name(cell)) for cell in cells):
            best, most = delimiter, len(cells)
    return NO_DELIMITER if most == 1 else best


def split_line(line: str, delimiter: str) -> list[str]:
    """Return the cells of one line; none where it is no valid CSV."""
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return []


def is_web_address(text: str) -> bool:
    """Return whether a text has the form of one http or https address."""
    return bool(_ADDRESS.fullmatch(text))


def row_class(cells: Mapping[str, object]) -> str | None:
    """Return the class that a row gives, by its columns' `column_name`s; None if none."""
    return clean_class_name(_first_text(cells, _CLASS))


def row_provenance(cells: Mapping[str, object]) -> Provenance:
    """Return the provenance in a row: its page, title, creator and licence."""
    pages = (cell_text(cells[name]) for name in _PAGE if name in cells)
    licence_address = _first_text(cells, _LICENCE_ADDRESS)
    return Provenance(
        next((page for page in pages if is_web_address(page)), ""),
        _first_text(cells, _TITLE),
        _first_text(cells, _CREATOR),
        _first_text(cells, _LICENCE),
        licence_address if is_web_address(licence_address) else "",
    )


def _first_text(cells: Mapping[str, object], names: tuple[str, ...]) -> str:
    return next((text for name in names if name in cells and (text := cell_text(cells[name]))), "")


def cell_text(value: object) -> str:
    """Return a cell as one line of printable text; empty for values that are neither text nor a number."""
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        value = int(value)  # programs save whole numbers as 1.0 where some are missing
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    text = "" if isinstance(value, float) and math.isnan(value) else str(value)
    text = text[: 10 * _MAX_TEXT_CHARACTERS]
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return unicodedata.normalize("NFC", " ".join(text.split()))[:_MAX_TEXT_CHARACTERS]
