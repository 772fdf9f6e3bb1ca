"""Scheduler of a crawl: the next URL to fetch, by host, depth and rate limit."""

import heapq
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator

from studio.collect.web.frontier import FrontierItem

_MIN_IMAGES_AHEAD = 200
"""While fewer images than this are waiting, pages come first, since they lead to more images."""


class Scheduler:
    """Queues of waiting frontier items by site, and the choice of the next one.

    Breadth first: no page is scheduled while a page of smaller depth is waiting or in flight, so that every
    page is reached by its shortest path and a crawl reads the same pages every time.

    connections: requests at a time per site. seconds_until_ready: returns the seconds until the rate limit
    allows a request to a URL.
    """

    def __init__(self, connections: int, seconds_until_ready: Callable[[str], float]) -> None:
        self._connections, self._seconds_until_ready = connections, seconds_until_ready
        self._pages: defaultdict[str, deque[FrontierItem]] = defaultdict(deque)
        self._images: defaultdict[str, deque[FrontierItem]] = defaultdict(deque)
        self._in_flight: defaultdict[str, int] = defaultdict(int)
        self._rotation: deque[str] = deque()
        self._delayed_sites: list[tuple[float, str]] = []
        self._queued_sites: set[str] = set()
        self._deeper_pages: defaultdict[int, list[FrontierItem]] = defaultdict(list)
        self._depth = 0
        self._pages_at_depth = 0  # waiting or in flight
        self.pages = self.images = 0
        """Number of waiting pages and images."""

    def add(self, item: FrontierItem) -> None:
        """Add an item to the end of its site's queue."""
        if item.kind == "picture":
            self._images[item.site].append(item)
            self.images += 1
            self._enqueue_site(item.site)
            return
        self.pages += 1
        if item.depth > self._depth:
            self._deeper_pages[item.depth].append(item)
        else:
            self._queue_page(item)

    def _queue_page(self, item: FrontierItem) -> None:
        self._pages_at_depth += 1
        self._pages[item.site].append(item)
        self._enqueue_site(item.site)

    def next(self, *, pages: bool, images: bool) -> FrontierItem | None:
        """Return an item that may be fetched now, or None. Call `finished` with it afterwards."""
        while self._delayed_sites and self._delayed_sites[0][0] <= time.monotonic():
            self._rotation.append(heapq.heappop(self._delayed_sites)[1])
        for _attempt in range(len(self._rotation)):
            site = self._rotation.popleft()
            waiting = self._choose(site, pages=pages, images=images)
            if waiting is None:
                if self._pages[site] or self._images[site]:
                    self._rotation.append(site)  # waits until its kind is wanted
                else:
                    self._queued_sites.discard(site)
                continue
            delay_s = self._seconds_until_ready(waiting[0].url)
            if delay_s > 0:
                heapq.heappush(self._delayed_sites, (time.monotonic() + delay_s, site))
                continue
            item = waiting.popleft()
            if item.kind == "page":
                self.pages -= 1
            else:
                self.images -= 1
            self._in_flight[site] += 1
            self._queued_sites.discard(site)
            self._enqueue_site(site)
            return item
        return None

    def finished(self, item: FrontierItem) -> None:
        """Release the connection of an item that has been fetched."""
        self._in_flight[item.site] -= 1
        if item.kind == "page":
            self._pages_at_depth -= 1
        self._enqueue_site(item.site)

    def advance_depth(self) -> None:
        """Schedule the pages of the next depth if none of this depth is waiting or in flight."""
        if not self._pages_at_depth and self._deeper_pages:
            self._depth = min(self._deeper_pages)
            for item in self._deeper_pages.pop(self._depth):
                self._queue_page(item)

    def drain(self) -> Iterator[FrontierItem]:
        """Remove and yield all waiting items."""
        for waiting in (
            *self._pages.values(),
            *self._images.values(),
            *map(deque, self._deeper_pages.values()),
        ):
            while waiting:
                yield waiting.popleft()
        self._deeper_pages.clear()
        self.pages = self.images = 0

    def _choose(self, site: str, *, pages: bool, images: bool) -> deque[FrontierItem] | None:
        page, image = self._pages[site] if pages else None, self._images[site] if images else None
        if page and image:
            return page if self.images < _MIN_IMAGES_AHEAD else image
        return page or image or None

    def _enqueue_site(self, site: str) -> None:
        waits = self._pages[site] or self._images[site]
        if waits and site not in self._queued_sites and self._in_flight[site] < self._connections:
            self._queued_sites.add(site)
            self._rotation.append(site)
