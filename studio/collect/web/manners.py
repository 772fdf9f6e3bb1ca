"""How gently a site is asked: connections at a time, time between requests, pauses that it asks for."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class VisitEnded(Exception):
    """All requests were ended from outside: whoever waited for one need not any more."""


class _Site:
    def __init__(self) -> None:
        self.busy = 0
        self.next_at = 0.0
        self.delay_s = 0.0


class Manners:
    """The turns of all sites. Safe in threads.

    connections: requests that a site gets at a time. delay_s: between the starts of two requests to one site.
    """

    def __init__(self, connections: int, delay_s: float) -> None:
        self._connections, self._delay_s = connections, delay_s
        self._sites: defaultdict[str, _Site] = defaultdict(_Site)
        self._changed = threading.Condition()
        self._closed = False

    @contextmanager
    def turn(self, site: str) -> Iterator[None]:
        """Wait for the site's next turn, and hold it. Raises VisitEnded when all is closed meanwhile."""
        with self._changed:
            place = self._sites[site]
            while True:
                if self._closed:
                    raise VisitEnded
                rest_s = place.next_at - time.monotonic()
                if place.busy < self._connections and rest_s <= 0:
                    break
                self._changed.wait(rest_s if place.busy < self._connections else None)
            place.busy += 1
            place.next_at = time.monotonic() + max(self._delay_s, place.delay_s)
        try:
            yield
        finally:
            with self._changed:
                place.busy -= 1
                self._changed.notify_all()

    def slow_down(self, site: str, delay_s: float) -> None:
        """Leave at least so long between two requests to a site, as its robots.txt asks."""
        with self._changed:
            place = self._sites[site]
            if delay_s > place.delay_s:
                place.next_at += delay_s - max(place.delay_s, self._delay_s) if place.next_at else 0.0
                place.delay_s = delay_s

    def pause(self, site: str, seconds: float) -> None:
        """Ask a site nothing for so long."""
        with self._changed:
            place = self._sites[site]
            place.next_at = max(place.next_at, time.monotonic() + seconds)

    def ready_in(self, site: str) -> float:
        """Return the seconds until a site may be asked again; 0 for now."""
        with self._changed:
            place = self._sites.get(site)
            return 0.0 if place is None else max(0.0, place.next_at - time.monotonic())

    def close(self) -> None:
        """End all waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
