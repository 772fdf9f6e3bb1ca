"""What is counted of links, written a little later, so that no visitor waits for the database."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from db.engine import Database
from studio.share import links

_LATER_S = 1.0


class Tally:
    """Counts by link; safe in threads."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database, self._clock = database, clock
        self._opened: Counter[int] = Counter()
        self._answered: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def opened(self, link_id: int) -> None:
        """Count that a link's page was opened."""
        self._add(self._opened, link_id)

    def answered(self, link_id: int) -> None:
        """Count that a picture was answered."""
        self._add(self._answered, link_id)

    def write(self) -> None:
        """Write what was counted since the last time."""
        with self._lock:
            opened, answered = self._opened, self._answered
            self._opened, self._answered, self._timer = Counter(), Counter(), None
        if not opened and not answered:
            return
        try:
            with self._database.write() as session:
                for link_id in sorted({*opened, *answered}):
                    links.count(
                        session,
                        link_id,
                        self._clock(),
                        opened=opened[link_id],
                        answered=answered[link_id],
                    )
        except SQLAlchemyError:  # the database is busy: they are written with the next ones
            with self._lock:
                self._opened.update(opened)
                self._answered.update(answered)

    def _add(self, counts: Counter[int], link_id: int) -> None:
        with self._lock:
            counts[link_id] += 1
            if self._timer is None:
                self._timer = threading.Timer(_LATER_S, self.write)
                self._timer.daemon = True
                self._timer.start()
