"""What a harvest is bound by: where it ends, and what of a page it follows."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from studio.collect.entry import Find
from studio.collect.web.frontier import Target
from studio.collect.web.reading import Reading
from studio.collect.web.visitor import Answer


@dataclass(frozen=True)
class Limits:
    """Where a harvest ends at the latest."""

    pages: int = 1_000_000
    pictures: int = 1_000_000
    """New ones; copies and refusals do not count."""
    total_bytes: int = 1_000_000_000_000
    minutes: float = 1_000_000


@dataclass(frozen=True)
class Followed:
    """What is made of a page: addresses to ask, and those that are clearly not to be asked."""

    targets: Sequence[Target]
    refused: Sequence[Find]
    said: str
    """What the page gave, in a few words."""


Follow = Callable[[Target, Answer, Reading, Collection[str]], Followed]
"""Says what a page leads to, without the addresses that are known already."""
