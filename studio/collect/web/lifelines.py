"""Holds on all requests under way, to cut them off at their ends or all at once."""

import contextlib
import socket
import threading
import time

from studio.collect.web.manners import VisitEnded

LOOK_EVERY_S = 0.1


class Life:
    """One request under way, and when it ends at the latest."""

    def __init__(self, ends_at: float) -> None:
        self.ends_at = ends_at
        """As time.monotonic counts."""
        self.line: socket.socket | None = None
        self.line_is_left = False
        """Whether its connection has been closed: a body without a length comes all the same."""
        self.was_cut = False
        self.took_kept = False
        """Whether it went over a connection that had been kept from an earlier one."""


class Lifelines:
    """The lives of all requests. Safe in threads; each thread has at most one at a time.

    A line is a second handle of a connection's socket: shutting it down wakes whoever waits for the first,
    also in the middle of an encrypted greeting, where nobody else can reach it.
    """

    def __init__(self) -> None:
        self._lives: set[Life] = set()
        self._lock = threading.Lock()
        self._mine = threading.local()
        self._watch: threading.Thread | None = None
        self._closed = threading.Event()

    @property
    def closed(self) -> bool:
        """Whether all has been ended."""
        return self._closed.is_set()

    def begin(self, ends_at: float) -> Life:
        """Begin this thread's request. Raises VisitEnded when all has been ended."""
        life = Life(ends_at)
        with self._lock:
            if self.closed:
                raise VisitEnded
            self._lives.add(life)
            if self._watch is None:
                self._watch = threading.Thread(target=self._look, name="lifelines", daemon=True)
                self._watch.start()
        self._mine.life = life
        return life

    def hold(self, line: socket.socket, *, kept: bool) -> None:
        """Hold the line of this thread's request. kept: from an earlier request."""
        life: Life = self._mine.life
        with self._lock:
            _close_left(life)
            life.line, life.took_kept = line, kept
            if life.was_cut:
                _cut(life)

    def drop(self, line: socket.socket) -> None:
        """Close the line of a connection that is closed, or leave that to the request that still uses it."""
        with self._lock:  # so that no other socket with its number is cut off in its place
            for life in self._lives:
                if life.line is line:
                    life.line_is_left = True
                    return
            line.close()

    def check(self) -> None:
        """Raise VisitEnded or TimeoutError when this thread's request is over."""
        if self.closed:
            raise VisitEnded
        if self._mine.life.was_cut:
            raise TimeoutError

    def end(self, life: Life) -> bool:
        """Let go of a request's line; return whether it had to be cut off."""
        with self._lock:
            self._lives.discard(life)
            _close_left(life)
            return life.was_cut

    def close(self) -> None:
        """Cut off all, and let none begin any more."""
        with self._lock:
            self._closed.set()
            for life in self._lives:
                _cut(life)

    def _look(self) -> None:
        while not self._closed.wait(LOOK_EVERY_S):
            now = time.monotonic()
            with self._lock:
                for life in self._lives:
                    if life.ends_at <= now:
                        _cut(life)


def _close_left(life: Life) -> None:
    if life.line is not None and life.line_is_left:
        life.line.close()
        life.line_is_left = False


def _cut(life: Life) -> None:
    life.was_cut = True
    if life.line is not None:
        with contextlib.suppress(OSError):
            life.line.shutdown(socket.SHUT_RDWR)
