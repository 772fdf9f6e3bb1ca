"""A run's test accuracy by where its images came from: it may know only one site's photographs."""

from collections import Counter
from dataclasses import dataclass
from urllib.parse import urlsplit

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import models
from studio.retrain.evaluation.evaluation import Tally
from studio.retrain.runs.run_records import run


@dataclass(frozen=True)
class Slice:
    """The test images of one source. accuracy: 0-1; interval: 95% of it.

    name: the site, or the kind of provenance (folder, upload, camera, …) of what came from none.
    """

    name: str
    n: int
    accuracy: float | None
    interval: tuple[float, float] | None
    kind: str = ""
    site: str = ""


def slices(session: Session, run_id: int) -> tuple[Slice, ...]:
    """Return a run's test images by source, the most first; an image counts where it was found first.

    Raises ProjectError where there is no such run.
    """
    asked = run(session, run_id)
    if asked.evaluation is None:
        return ()
    sources = _sources(session, asked.project_id, asked.snapshot_id)
    there: Counter[tuple[str, str]] = Counter()
    right: Counter[tuple[str, str]] = Counter()
    for prediction in asked.evaluation.predictions:
        source = sources.get(prediction.sha256, ("", ""))
        there[source] += 1
        right[source] += prediction.true == prediction.predicted
    found = []
    for (kind, site), n in there.most_common():
        tally = Tally.of(right[kind, site], n)
        found.append(Slice(site or kind, n, tally.accuracy, tally.interval, kind, site))
    return tuple(found)


def _sources(session: Session, project_id: int, snapshot_id: int) -> dict[str, tuple[str, str]]:
    """Return the kind and the site of each test image's first provenance, by its SHA-256."""
    place, member = models.ProvenanceRow, models.SnapshotImageRow
    first = (
        select(func.min(place.id))
        .where(place.project_id == project_id, place.image_id == member.image_id)
        .correlate(member)
        .scalar_subquery()
    )
    rows = session.execute(
        select(models.ImageRow.sha256, place.kind, place.page_address, place.address)
        .join(member, member.image_id == models.ImageRow.id)
        .join(place, place.id == first)
        .where(member.snapshot_id == snapshot_id, member.split == "testing")
    )
    return {sha256: (kind, _site(page) or _site(address)) for sha256, kind, page, address in rows}


def _site(address: str) -> str:
    """Return an address's host without www; empty for a path."""
    if not address.startswith(("http://", "https://")):
        return ""
    try:
        return (urlsplit(address).hostname or "").removeprefix("www.")
    except ValueError:  # an address that never was one
        return ""
