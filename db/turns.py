"""Taking turns: threads of one process write to an SQLite file one after the other, in the order they came.

SQLite lets one write at a time, and whoever waits for it sleeps and looks again, ever less often. With eight
that write without a pause the unlucky wait for seconds, and in the end give up. Those in other processes
still wait in SQLite's way.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A lock that is handed on in the order in which threads asked for it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._taken = False
        self._owner: int | None = None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until it is this thread's turn, and hand it on at the end.

        Raises RuntimeError where the thread has the turn already: it would wait for itself for ever.
        """
        me = threading.get_ident()
        if self._owner == me:
            raise RuntimeError(
                "expected one writing session at a time in a thread; this thread has one open already. "
                "Use that, or end it first."
            )
        self._take()
        self._owner = me
        try:
            yield
        finally:
            self._owner = None
            self._hand_on()

    def _take(self) -> None:
        gate = threading.Lock()
        gate.acquire()
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            self._waiting.append(gate)
        try:
            gate.acquire()
        except BaseException:  # Ctrl+C while waiting: nobody must be left waiting for one who went away
            with self._guard:
                gone = gate in self._waiting
                if gone:
                    self._waiting.remove(gate)
            if not gone:
                self._hand_on()
            raise

    def _hand_on(self) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False


_guard = threading.Lock()
_turns: dict[str, Turns] = {}


def turns_of(file: str) -> Turns:
    """Return the turns of a database's file, the same for everyone in this process."""
    with _guard:
        return _turns.setdefault(file, Turns())
