"""The map of a project's pictures: where a study has put each, with the class that it has now."""

from pathlib import Path

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models import Label

UNLABELLED, REJECTED = 0, -1
"""What stands in a class's place."""
_TRIES = 3


def picture_map(session: Session, project_id: int, folder: Path) -> bytes | None:
    """Return the map for a browser; None where no study of the project has left one.

    folder: that of the project's studies. Little-endian: the count as int32, then count ids as int32, count x
    and count y as float32 (0 to 1), and count class ids as int32.
    """
    found = _read(folder)
    if found is None:
        return None
    ids, places = found
    rows = session.connection().execute(
        select(Label.image_id, Label.state, Label.class_id).where(Label.project_id == project_id)
    )
    classes = {
        image: class_id or UNLABELLED if state != "rejected" else REJECTED for image, state, class_id in rows
    }
    now = np.array([classes.get(image, UNLABELLED) for image in ids.tolist()], "<i4")
    parts = [
        np.array([len(ids)], "<i4"),
        ids.astype("<i4"),
        places[:, 0].astype("<f4"),
        places[:, 1].astype("<f4"),
        now,
    ]
    return b"".join(part.tobytes() for part in parts)


def _read(folder: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Return ids and places. Each file is written whole, but one after the other: they can differ."""
    for _try in range(_TRIES):
        try:
            ids, places = np.load(folder / "ids.npy"), np.load(folder / "map.npy")
        except FileNotFoundError:
            return None
        if len(ids) == len(places):
            return ids, places
    return None
