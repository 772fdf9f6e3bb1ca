"""The folder of event files, emptied before a run as `retrain.py` empties it."""

import shutil
from pathlib import Path

from studio.errors import OutputRefused
from studio.language import _

_EVENTS = "tfevents"


def empty_summaries(summaries_dir: Path) -> None:
    """Remove a folder of summaries with all that is in it, where there is one.

    The peer removes whatever the flag names. Here a folder in which anything but event files lies stays as it
    is: a slip of the pen must not cost anyone their pictures. Raises OutputRefused.
    """
    if not summaries_dir.exists():
        return
    foreign = next((p for p in summaries_dir.rglob("*") if p.is_file() and _EVENTS not in p.name), None)
    if foreign is not None or not summaries_dir.is_dir():
        raise OutputRefused(
            _(
                "expected nothing but event files in {folder}, to be emptied; {file} is there. Name another."
            ).format(folder=summaries_dir, file=foreign or summaries_dir)
        )
    shutil.rmtree(summaries_dir)
