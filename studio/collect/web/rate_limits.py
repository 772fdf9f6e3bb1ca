"""Rate limits per site: concurrent requests, delay between requests, and back-off when a site is busy."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from studio.errors import ImageRefused
from studio.i18n import _
from studio.images.skip_reasons import SkipReason

_RECHECK_S = 0.05
"""Delay before a site without a free connection is checked again."""


class FetcherClosed(Exception):
    """The fetcher was closed while a thread was waiting for a request."""


class _SiteState:
    """Queue, requests in flight and pauses of one site."""

    def __init__(self, lock: threading.Lock, delay_s: float) -> None:
        self.changed = threading.Condition(lock)
        self.delay_s = delay_s
        self.queue: list[object] = []
        self.in_flight = 0
        self.last_started_at = self.paused_at = self.paused_until = float("-inf")
        self.consecutive_busy = 0
        self.is_suspended = False

    @property
    def next_at(self) -> float:
        return max(self.last_started_at + self.delay_s, self.paused_until)


class RateLimiter:
    """Rate limits of all sites. Thread-safe.

    connections: concurrent requests per site. delay_s: between the starts of two requests to one site.
    tries: after this many busy responses in a row a site is suspended: requests to it fail at once until its
    pause ends. longest_wait_s: a longer pause than this suspends a site too, and a suspension lasts at least
    this long.
    """

    def __init__(self, connections: int, delay_s: float, *, tries: int, longest_wait_s: float) -> None:
        self._connections, self._delay_s = connections, delay_s
        self._tries, self._longest_wait_s = tries, longest_wait_s
        self._lock = threading.Lock()
        self._sites: dict[str, _SiteState] = {}
        self._closed = False

    @contextmanager
    def slot(self, site: str) -> Iterator[float]:
        """Wait until a request to a site is allowed, and hold its slot; yields the start, by time.monotonic.

        Slots are given in the order of the calls. Raises ImageRefused when the site is suspended,
        FetcherClosed when the limiter is closed meanwhile.
        """
        with self._lock:
            state = self._state(site)
            state.queue.append(ticket := object())
            try:
                now = self._wait(site, state, ticket)
            finally:
                state.queue.remove(ticket)
                state.changed.notify_all()
            state.in_flight += 1
            state.last_started_at = now
        try:
            yield now
        finally:
            with self._lock:
                state.in_flight -= 1
                state.changed.notify_all()

    def _wait(self, site: str, state: _SiteState, ticket: object) -> float:
        """Wait, with the lock held, until `ticket` is first in the queue and a request is allowed."""
        while True:
            if self._closed:
                raise FetcherClosed
            now = time.monotonic()
            if state.is_suspended and state.paused_until > now:
                raise too_busy_error(site, state.paused_until - now)
            is_next = state.in_flight < self._connections and state.queue[0] is ticket
            wait_s = state.next_at - now
            if is_next and wait_s <= 0:
                return now
            state.changed.wait(wait_s if is_next else None)

    def set_min_delay(self, site: str, delay_s: float) -> None:
        """Raise a site's delay between requests to at least `delay_s`, as its robots.txt asks."""
        with self._lock:
            state = self._state(site)
            state.delay_s = max(state.delay_s, delay_s)

    def record_busy(self, site: str, started_at: float, retry_after_s: float | None) -> float:
        """Pause a site after a busy response, and return for how many seconds.

        started_at: start of the request. retry_after_s: what the site asks for; None: pauses double.
        """
        with self._lock:
            state = self._state(site)
            if started_at >= state.paused_at:  # of concurrent requests only one counts
                state.consecutive_busy += 1
            wait_s = 2.0 ** (state.consecutive_busy - 1) if retry_after_s is None else retry_after_s
            state.is_suspended = state.consecutive_busy >= self._tries or wait_s > self._longest_wait_s
            if state.is_suspended:
                wait_s = max(wait_s, self._longest_wait_s)
            state.paused_at = time.monotonic()
            state.paused_until = max(state.paused_until, state.paused_at + wait_s)
            state.changed.notify_all()
            return wait_s

    def record_success(self, site: str, started_at: float) -> None:
        """Record that a site is not busy. started_at: start of the request."""
        with self._lock:
            state = self._state(site)
            if started_at >= state.paused_at:
                state.consecutive_busy, state.is_suspended = 0, False

    def seconds_until_ready(self, site: str) -> float:
        """Return the seconds until a request to a site is allowed; 0 as well if the site is suspended."""
        with self._lock:
            state = self._sites.get(site)
            if state is None:
                return 0.0
            now = time.monotonic()
            if state.is_suspended and state.paused_until > now:
                return 0.0
            return max(state.next_at - now, 0.0 if state.in_flight < self._connections else _RECHECK_S)

    def close(self) -> None:
        """End all waiting."""
        with self._lock:
            self._closed = True
            for state in self._sites.values():
                state.changed.notify_all()

    def _state(self, site: str) -> _SiteState:
        state = self._sites.get(site)
        if state is None:
            state = self._sites[site] = _SiteState(self._lock, self._delay_s)
        return state


def parse_retry_after(value: str, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks to wait, in seconds or as a date, or None."""
    value = value.strip()
    if value.isdecimal() and value.isascii():
        return float(value[:9])
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, ((date if date.tzinfo else date.replace(tzinfo=UTC)) - now).total_seconds())


def too_busy_error(site: str, wait_s: float) -> ImageRefused:
    """Return the error for a site that is not to be requested for `wait_s`."""
    return ImageRefused(
        _("{site} is too busy: it is to be left alone for {wait} s. Ask again later.").format(
            site=site, wait=f"{max(1, round(wait_s)):,}"
        ),
        SkipReason.BUSY,
    )
