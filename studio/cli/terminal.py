"""Progress on a terminal: a bar where somebody looks, a plain line now and then where the output is kept."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from studio.progress import Progress

_LINE_EVERY_S = 5.0


@contextmanager
def terminal_progress() -> Iterator[Progress]:
    """Give a `Progress` that draws on standard error, so that standard output holds the answers alone."""
    drawn = _Bars() if sys.stderr.isatty() else _Lines()
    try:
        yield drawn
    finally:
        drawn.finish()


class _Bars:
    """One bar a phase."""

    def __init__(self) -> None:
        self._phase = ""
        self._bar: click._termui_impl.ProgressBar[int] | None = None

    def report(self, phase: str, done: int, total: int | None = None) -> None:
        """Draw `done` of `total`."""
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
        """End the bar's line."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None


class _Lines:
    """A line when a phase begins, every few seconds, and when it ends."""

    def __init__(self) -> None:
        self._phase = ""
        self._told_at = 0.0
        self._last = ""

    def report(self, phase: str, done: int, total: int | None = None) -> None:
        """Print a line where one is due."""
        line = f"{phase}: {done:,}/{total:,}" if total else f"{phase}: {done:,}" if done else phase
        due = phase != self._phase or time.monotonic() - self._told_at >= _LINE_EVERY_S or done == total
        if due and line != self._last:
            click.echo(line, err=True)
            self._phase, self._told_at, self._last = phase, time.monotonic(), line

    def finish(self) -> None:
        """Nothing is left open."""
