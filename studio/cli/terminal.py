"""Terminal output: progress as bars or lines, columns of text, CSV tables."""

import csv
import sys
import time
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from studio.csv_cells import csv_cell
from studio.errors import SourceMissing
from studio.files import atomic_text
from studio.i18n import _
from studio.progress import Progress

_LINE_EVERY_S = 5.0


@contextmanager
def terminal_progress() -> Iterator[Progress]:
    """Yield a `Progress` that writes to standard error: bars on a terminal, lines elsewhere."""
    drawn = _Bars() if sys.stderr.isatty() else _Lines()
    try:
        yield drawn
    finally:
        drawn.finish()


class _Bars:
    """A progress bar per phase."""

    def __init__(self) -> None:
        self._phase = ""
        self._bar: click._termui_impl.ProgressBar[int] | None = None

    def report(self, phase: str, done: int, total: int | None = None) -> None:
        """Update the bar."""
        if phase != self._phase or self._bar is None:
            self.finish()
            self._phase = phase
            self._bar = click.progressbar(
                length=total or 0, label=f"{phase:<24}", show_pos=bool(total), file=sys.stderr
            )
            self._bar.__enter__()
        if total:
            self._bar.length = total
            self._bar.update(done - self._bar.pos)

    def finish(self) -> None:
        """End the line of the bar."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None


class _Lines:
    """A line at the start of a phase, every few seconds, and at its end."""

    def __init__(self) -> None:
        self._phase = ""
        self._printed_at = 0.0
        self._last = ""

    def report(self, phase: str, done: int, total: int | None = None) -> None:
        """Print a line if one is due."""
        line = f"{phase}: {done:,}/{total:,}" if total else f"{phase}: {done:,}" if done else phase
        due = phase != self._phase or time.monotonic() - self._printed_at >= _LINE_EVERY_S or done == total
        if due and line != self._last:
            click.echo(line, err=True)
            self._phase, self._printed_at, self._last = phase, time.monotonic(), line

    def finish(self) -> None:
        """Do nothing: lines are complete."""


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align cells in columns, by their width on a terminal; returns a line per row."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(_padded, row, widths)).rstrip() for row in rows]


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - _width(cell))


def _width(text: str) -> int:
    """Return the width of a text on a terminal: wide East Asian characters count two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


Row = Sequence[str | int | float]


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Write a CSV file in UTF-8; the path - is standard output. Formulas are escaped.

    Raises SourceMissing if the file cannot be written.
    """
    lines = [columns, *([csv_cell(each) if isinstance(each, str) else each for each in row] for row in rows)]
    if path == Path("-"):
        # In UTF-8 like the file, whatever the encoding of the console.
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
