"""The interface by which long functions report progress and are stopped.

A function of a room takes a `Progress` and depends on no job, terminal or page.
"""

from typing import Protocol


class Progress(Protocol):
    """A receiver of progress reports: the database for jobs, bars or lines for the command line."""

    def report(self, phase: str, done: int, total: int | None = None) -> None:
        """Report that `done` of `total` steps of a phase are done; cheap enough to call for every image.

        phase: a short translated text, such as "Computing bottlenecks".
        Raises `studio.errors.Stopped` when a person stops the job.
        """


class Silent:
    """A `Progress` that discards its reports."""

    def report(self, phase: str, done: int, total: int | None = None) -> None:
        """Do nothing."""
