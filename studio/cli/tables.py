"""Writing a table to where a command's `--csv` points."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from studio.atomic import atomic_text
from studio.collect.spreadsheet import cell
from studio.errors import SourceMissing
from studio.language import _

Row = Sequence[str | int | float]


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Write a CSV file in UTF-8; - is standard output. Texts become cells that no spreadsheet runs.

    Raises SourceMissing where the file cannot be written, saying why.
    """
    lines = [columns, *([cell(each) if isinstance(each, str) else each for each in row] for row in rows)]
    if path == Path("-"):
        # In UTF-8 like the file, whatever a console's own encoding is.
        with click.open_file("-", "w", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(lines)
        return
    try:
        with atomic_text(path.expanduser()) as text:
            csv.writer(text, lineterminator="\n").writerows(lines)
    except OSError as error:
        raise SourceMissing(
            _("{path} cannot be written: {why}. Name another file.").format(
                path=path, why=error.strerror or error
            )
        ) from error
