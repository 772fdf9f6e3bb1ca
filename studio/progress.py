"""How long work tells what it has done, and hears that it should stop.

A room's function takes a `Progress` and knows nothing of jobs, terminals or pages.
"""

from typing import Protocol


class Progress(Protocol):
    """Where long work reports. Implemented by jobs (database) and by the command line (bars, lines)."""

    def report(self, phase: str, done: int, total: int | None = None) -> None:
        """Say that `done` of `total` steps of `phase` are behind us; cheap enough to call for every image.

        `phase` is a short text for people, in their language, such as "Computing bottlenecks".
        Raises `studio.errors.Stopped` when a person has asked for an end.
        """


class Silent:
    """A `Progress` that nobody watches."""

    def report(self, phase: str, done: int, total: int | None = None) -> None:
        """Do nothing."""
