"""Tables of what is known of images, as people save them: CSV of any delimiter, in any usual encoding."""

import codecs
import csv
import io
import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, TextIO

from studio.datasets.names import class_name_of
from studio.i18n import _
from studio.images.provenance import Provenance

LONGEST_LINE = 1_000_000
"""Characters; a longer line is passed over and said."""
UNDIVIDED = "\x1f"
"""The delimiter of a table of one column: no text that people write has it."""
_DELIMITERS = ",\t;|"
_CHUNK_BYTES = 1 << 20
_LONGEST_TEXT = 1_000
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
    """One row of a table, or why it cannot be read."""

    line: int
    """Where it ends, from 1."""
    cells: list[str]
    fault: str = ""


def open_text(file: BinaryIO) -> TextIO:
    """Return a file as text: UTF-8 or UTF-16 by its mark, UTF-8 where it is that, else the Korean code page.

    What fits none of them gets replacement characters. Line ends stay as they are.
    """
    return io.TextIOWrapper(file, encoding=_encoding_of(file), errors="replace", newline="")


def _encoding_of(file: BinaryIO) -> str:
    head = file.read(3)
    file.seek(0)
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            return encoding
    return next((name for name in ("utf-8", "cp949") if _is_in(file, name)), "utf-8")


def _is_in(file: BinaryIO, encoding: str) -> bool:
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


def lines(stream: TextIO) -> Iterator[str | None]:
    """Yield a text's lines with their ends; None stands for one of more than LONGEST_LINE characters."""
    while line := stream.readline(LONGEST_LINE + 1):
        if len(line) <= LONGEST_LINE or line.endswith(("\n", "\r")):
            yield line
            continue
        while (rest := stream.readline(LONGEST_LINE)) and not rest.endswith(("\n", "\r")):
            pass
        yield None


def rows(stream: TextIO, delimiter: str) -> Iterator[Row]:
    """Yield a CSV's rows that are not empty, each cell trimmed, with a fault where one cannot be read."""
    too_long: list[int] = []

    def readable_lines() -> Iterator[str]:
        for number, line in enumerate(lines(stream), start=1):
            if line is None:
                too_long.append(number)
            yield "\n" if line is None else line

    reader = csv.reader(readable_lines(), delimiter=delimiter)
    while True:
        try:
            cells, fault = [cell.strip() for cell in next(reader)], ""
        except StopIteration:
            break
        except csv.Error as error:  # the reader goes on with the line after
            cells, fault = [], str(error)
        while too_long:
            yield Row(too_long.pop(0), [], too_long_a_line())
        if fault or any(cells):
            yield Row(reader.line_num, cells, fault)


def too_long_a_line() -> str:
    """Return why a line that `lines` left out is refused."""
    return _("it is longer than {limit} characters").format(limit=f"{LONGEST_LINE:,}")


def column_name(cell: str) -> str:
    """Return a column's name as it is compared: `Page URL` is `page_url`."""
    return re.sub(r"[\s\-]+", "_", cell.strip().casefold())


def delimiter_of(header: str, is_known: Callable[[str], bool]) -> str | None:
    """Return the delimiter by which a header has most columns, at least one of them known; None if none is.

    `is_known` is asked with a `column_name`. A header of one known column is UNDIVIDED.
    """
    best, most = None, 0
    for delimiter in _DELIMITERS:
        cells = divided(header, delimiter)
        if len(cells) > most and any(is_known(column_name(cell)) for cell in cells):
            best, most = delimiter, len(cells)
    return UNDIVIDED if most == 1 else best


def divided(line: str, delimiter: str) -> list[str]:
    """Return the cells of one line; none where it is no CSV."""
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return []


def is_address(text: str) -> bool:
    """Whether a text is one web address, as far as its looks go."""
    return bool(_ADDRESS.fullmatch(text))


def class_in(cells: Mapping[str, object]) -> str | None:
    """Return the class that a row gives, by its columns' `column_name`s; None where it gives none."""
    return class_name_of(_first(cells, _CLASS))


def provenance_in(cells: Mapping[str, object]) -> Provenance:
    """Return where an image comes from and what may be done with it, as a row tells."""
    pages = (text_of(cells[name]) for name in _PAGE if name in cells)
    licence_address = _first(cells, _LICENCE_ADDRESS)
    return Provenance(
        next((page for page in pages if is_address(page)), ""),
        _first(cells, _TITLE),
        _first(cells, _CREATOR),
        _first(cells, _LICENCE),
        licence_address if is_address(licence_address) else "",
    )


def _first(cells: Mapping[str, object], names: tuple[str, ...]) -> str:
    return next((text for name in names if name in cells and (text := text_of(cells[name]))), "")


def text_of(value: object) -> str:
    """Return a cell as one line of printable text; empty for what is neither text nor a number."""
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        value = int(value)  # whole numbers with gaps among them are saved as 1.0
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    text = "" if isinstance(value, float) and math.isnan(value) else str(value)
    text = text[: 10 * _LONGEST_TEXT]
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return unicodedata.normalize("NFC", " ".join(text.split()))[:_LONGEST_TEXT]
