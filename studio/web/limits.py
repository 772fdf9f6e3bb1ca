"""How much strangers may ask for: so often, so much at once, and no more than there is memory for."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic

_MOST_KNOWN = 10_000


class Rate:
    """A bucket of tokens for each visitor: some at once, and then so many a second."""

    def __init__(self, at_once: float, per_s: float, clock: Callable[[], float] = monotonic) -> None:
        self._at_once, self._per_s, self._clock = at_once, per_s, clock
        self._known: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, visitor: str) -> float:
        """Take one; return 0, or the seconds after which there is one again."""
        now = self._clock()
        left, at = self._known.pop(visitor, (self._at_once, now))
        left = min(self._at_once, left + (now - at) * self._per_s)
        allowed = left >= 1
        self._known[visitor] = (left - 1 if allowed else left, now)
        if len(self._known) > _MOST_KNOWN:  # whoever was seen longest ago has a full bucket by now
            self._known.popitem(last=False)
        return 0 if allowed else (1 - left) / self._per_s


class Full(Exception):
    """There is no room for this at the moment."""


class Room:
    """The memory that pictures on their way may take up together."""

    def __init__(self, most_bytes: int) -> None:
        self._left = most_bytes

    def take(self, size_bytes: int) -> None:
        """Raises Full where there is not so much left."""
        if size_bytes > self._left:
            raise Full
        self._left -= size_bytes

    def give_back(self, size_bytes: int) -> None:
        """Free what was taken."""
        self._left += size_bytes


class Queue:
    """Turns at something that only a few can do at once; of others only so many may wait."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._turns = asyncio.Semaphore(at_once)
        self._places = at_once + waiting
        self._inside = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn. Raises Full where too many wait already."""
        if self._inside >= self._places:
            raise Full
        self._inside += 1
        try:
            async with self._turns:
                yield
        finally:
            self._inside -= 1
