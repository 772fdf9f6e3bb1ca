"""The pictures of a project that resemble one of them most, by their reduced bottlenecks."""

import threading
from collections import OrderedDict
from pathlib import Path

import numpy as np

from studio.curate.study_files import IDS, VECTORS, Studied, read_studied

_KEPT = 2
"""So many projects' vectors stay in memory, 51 MB each for 100,000 pictures."""

_Identity = tuple[tuple[int, int, int], ...]
_lock = threading.Lock()
_kept: OrderedDict[Path, tuple[_Identity, Studied]] = OrderedDict()


def alike(folder: Path, image_id: int, limit: int) -> list[tuple[int, float]]:
    """Return up to `limit` image ids with their cosines, the nearest first, the picture itself at the head.

    folder: where the project's survey left its files. Empty where the survey has not seen the picture.
    100,000 pictures take some milliseconds, once they are in memory.
    """
    studied = _studied(folder)
    if studied is None or limit < 1:
        return []
    place = int(np.searchsorted(studied.ids, image_id))
    if place == len(studied.ids) or studied.ids[place] != image_id:
        return []
    cosines = studied.vectors @ studied.vectors[place]
    cosines[place] = np.inf  # before its exact copies, whatever is rounded
    count = min(limit, len(cosines))
    nearest = np.argpartition(-cosines, count - 1)[:count]
    # By id where two are as near: a walk goes through the same list again and again.
    nearest = nearest[np.lexsort((studied.ids[nearest], -cosines[nearest]))]
    cosines[place] = 1.0
    return list(zip(studied.ids[nearest].tolist(), cosines[nearest].tolist(), strict=True))


def _studied(folder: Path) -> Studied | None:
    identity = _identity(folder)
    if identity is None:
        return None
    with _lock:
        known = _kept.get(folder)
        if known is None or known[0] != identity:
            found = read_studied(folder)
            if found is None:
                return None
            # Where they were replaced meanwhile they are read again the next time.
            known = _kept[folder] = (identity, found)
        _kept.move_to_end(folder)
        while len(_kept) > _KEPT:
            _kept.popitem(last=False)
        return known[1]


def _identity(folder: Path) -> _Identity | None:
    try:
        stats = [(folder / name).stat() for name in (IDS, VECTORS)]
    except OSError:
        return None
    return tuple((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in stats)
