"""How gently a site is asked: connections at a time, time between requests, pauses that it asks for."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from studio.errors import ImageRefused
from studio.i18n import _
from studio.images.reasons import SkipReason

_FULL_S = 0.05
"""When a site with no free connection is worth another look."""


class VisitEnded(Exception):
    """All requests were ended from outside: whoever waited for one need not any more."""


class _Site:
    def __init__(self, lock: threading.Lock, delay_s: float) -> None:
        self.changed = threading.Condition(lock)
        self.delay_s = delay_s
        self.queue: list[object] = []
        self.under_way = 0
        self.last_at = self.pause_from = self.pause_to = float("-inf")
        self.busy_in_a_row = 0
        self.rests = False

    @property
    def next_at(self) -> float:
        return max(self.last_at + self.delay_s, self.pause_to)


class Manners:
    """The turns of all sites. Safe in threads.

    connections: requests that a site gets at a time. delay_s: between the starts of two requests to one site.
    tries: after so many answers in a row that it is too busy, a site rests: what is asked of it is refused at
    once until its pause ends. longest_wait_s: a longer pause than this is not waited for, and a rest lasts at
    least so long.
    """

    def __init__(self, connections: int, delay_s: float, *, tries: int, longest_wait_s: float) -> None:
        self._connections, self._delay_s = connections, delay_s
        self._tries, self._longest_wait_s = tries, longest_wait_s
        self._lock = threading.Lock()
        self._sites: dict[str, _Site] = {}
        self._closed = False

    @contextmanager
    def turn(self, site: str) -> Iterator[float]:
        """Wait for the site's next turn, and hold it; yields when it began, as time.monotonic counts.

        Raises ImageRefused when the site rests, VisitEnded when all is closed meanwhile.
        """
        with self._lock:
            place = self._place(site)
            place.queue.append(me := object())
            try:
                now = self._wait(site, place, me)
            finally:
                place.queue.remove(me)
                place.changed.notify_all()
            place.under_way += 1
            place.last_at = now
        try:
            yield now
        finally:
            with self._lock:
                place.under_way -= 1
                place.changed.notify_all()

    def _wait(self, site: str, place: _Site, me: object) -> float:
        """Wait, with the lock, until `me` is the first of the queue and its turn has come; return when."""
        while True:
            if self._closed:
                raise VisitEnded
            now = time.monotonic()
            if place.rests and place.pause_to > now:
                raise too_busy(site, place.pause_to - now)
            may_go = place.under_way < self._connections and place.queue[0] is me
            rest_s = place.next_at - now
            if may_go and rest_s <= 0:
                return now
            place.changed.wait(rest_s if may_go else None)

    def slow_down(self, site: str, delay_s: float) -> None:
        """Leave at least so long between two requests to a site, as its robots.txt asks."""
        with self._lock:
            place = self._place(site)
            place.delay_s = max(place.delay_s, delay_s)

    def busy(self, site: str, began: float, asked_s: float | None) -> float:
        """Pause, as a site is too busy; return for how many seconds.

        began: its turn. asked_s: what the site asks for, if it says so; else the pauses double.
        """
        with self._lock:
            place = self._place(site)
            if began >= place.pause_from:  # of several that were under way together only one counts
                place.busy_in_a_row += 1
            wait_s = 2.0 ** (place.busy_in_a_row - 1) if asked_s is None else asked_s
            place.rests = place.busy_in_a_row >= self._tries or wait_s > self._longest_wait_s
            if place.rests:
                wait_s = max(wait_s, self._longest_wait_s)
            place.pause_from = time.monotonic()
            place.pause_to = max(place.pause_to, place.pause_from + wait_s)
            place.changed.notify_all()
            return wait_s

    def answered(self, site: str, began: float) -> None:
        """Take note that a site is not too busy, or not any more. began: the turn."""
        with self._lock:
            place = self._place(site)
            if began >= place.pause_from:
                place.busy_in_a_row, place.rests = 0, False

    def ready_in(self, site: str) -> float:
        """Return the seconds until a site may be asked; 0 for now, or for a refusal at once as it rests."""
        with self._lock:
            place = self._sites.get(site)
            if place is None:
                return 0.0
            now = time.monotonic()
            if place.rests and place.pause_to > now:
                return 0.0
            return max(place.next_at - now, 0.0 if place.under_way < self._connections else _FULL_S)

    def close(self) -> None:
        """End all waiting."""
        with self._lock:
            self._closed = True
            for place in self._sites.values():
                place.changed.notify_all()

    def _place(self, site: str) -> _Site:
        place = self._sites.get(site)
        if place is None:
            place = self._sites[site] = _Site(self._lock, self._delay_s)
        return place


def retry_after(value: str, now: datetime) -> float | None:
    """Return how many seconds a Retry-After header asks to wait, given as such or as a date, if it does."""
    value = value.strip()
    if value.isdecimal() and value.isascii():
        return float(value[:9])
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, ((date if date.tzinfo else date.replace(tzinfo=UTC)) - now).total_seconds())


def too_busy(site: str, wait_s: float) -> ImageRefused:
    """Return the refusal that names how long a site is to be left alone."""
    return ImageRefused(
        _("{site} is too busy: it is to be left alone for {wait} s. Ask again later.").format(
            site=site, wait=f"{max(1, round(wait_s)):,}"
        ),
        SkipReason.BUSY,
    )
