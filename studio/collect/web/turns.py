"""Whose turn it is: many sites in parallel, each of them gently."""

import heapq
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator

from studio.collect.web.frontier import Target

_PICTURES_AHEAD = 200
"""While fewer pictures wait than this, pages are read first: they lead to more."""


class Turns:
    """The targets that wait, by site, and which of them may be asked now.

    Pages come in the order of their depth: none while one that is nearer to the start waits or is under way,
    so that a page is always reached by the shortest way and a crawl reads the same pages every time.

    connections: how many requests a site gets at a time.
    ready_in: how many seconds it is until a target's site may be asked again.
    """

    def __init__(self, connections: int, ready_in: Callable[[str], float]) -> None:
        self._connections, self._ready_in = connections, ready_in
        self._pages: defaultdict[str, deque[Target]] = defaultdict(deque)
        self._pictures: defaultdict[str, deque[Target]] = defaultdict(deque)
        self._under_way: defaultdict[str, int] = defaultdict(int)
        self._rotation: deque[str] = deque()
        self._resting: list[tuple[float, str]] = []
        self._listed: set[str] = set()
        self._deeper: defaultdict[int, list[Target]] = defaultdict(list)
        self._depth = 0
        self._level = 0  # pages of this depth that wait or are under way
        self.pages = self.pictures = 0
        """How many wait."""

    def add(self, target: Target) -> None:
        """Put a target behind the others of its site."""
        if target.kind == "picture":
            self._pictures[target.site].append(target)
            self.pictures += 1
            self._list(target.site)
            return
        self.pages += 1
        if target.depth > self._depth:
            self._deeper[target.depth].append(target)
        else:
            self._put_page(target)

    def _put_page(self, target: Target) -> None:
        self._level += 1
        self._pages[target.site].append(target)
        self._list(target.site)

    def next(self, *, pages: bool, pictures: bool) -> Target | None:
        """Return a target that may be asked now, or None. `back` is to be told when it has been."""
        while self._resting and self._resting[0][0] <= time.monotonic():
            self._rotation.append(heapq.heappop(self._resting)[1])
        for _turn in range(len(self._rotation)):
            site = self._rotation.popleft()
            waiting = self._choose(site, pages=pages, pictures=pictures)
            if waiting is None:
                if self._pages[site] or self._pictures[site]:
                    self._rotation.append(site)  # its turn comes when more may be asked for
                else:
                    self._listed.discard(site)
                continue
            rest_s = self._ready_in(waiting[0].address)
            if rest_s > 0:
                heapq.heappush(self._resting, (time.monotonic() + rest_s, site))
                continue
            target = waiting.popleft()
            if target.kind == "page":
                self.pages -= 1
            else:
                self.pictures -= 1
            self._under_way[site] += 1
            self._listed.discard(site)
            self._list(site)
            return target
        return None

    def back(self, target: Target) -> None:
        """Take note that a target has been asked."""
        self._under_way[target.site] -= 1
        if target.kind == "page":
            self._level -= 1
        self._list(target.site)

    def go_deeper(self) -> None:
        """Begin with the next pages, if those before have been read and all that they lead to is added."""
        if not self._level and self._deeper:
            self._depth = min(self._deeper)
            for target in self._deeper.pop(self._depth):
                self._put_page(target)

    def drain(self) -> Iterator[Target]:
        """Give up and yield everything that waits."""
        for waiting in (*self._pages.values(), *self._pictures.values(), *map(deque, self._deeper.values())):
            while waiting:
                yield waiting.popleft()
        self._deeper.clear()
        self.pages = self.pictures = 0

    def _choose(self, site: str, *, pages: bool, pictures: bool) -> deque[Target] | None:
        page, picture = self._pages[site] if pages else None, self._pictures[site] if pictures else None
        if page and picture:
            return page if self.pictures < _PICTURES_AHEAD else picture
        return page or picture or None

    def _list(self, site: str) -> None:
        waits = self._pages[site] or self._pictures[site]
        if waits and site not in self._listed and self._under_way[site] < self._connections:
            self._listed.add(site)
            self._rotation.append(site)
