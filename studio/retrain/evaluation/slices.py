"""Evaluation slices: a run's test accuracy by the source of its images."""

from collections import Counter
from dataclasses import dataclass
from urllib.parse import urlsplit

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import models
from studio.retrain.evaluation.evaluation import AccuracyEstimate
from studio.retrain.runs.run_records import get_run


@dataclass(frozen=True)
class SourceSlice:
    """Accuracy on the test images of one source, 0-1, with its 95% confidence interval.

    name: the web site, or the kind of provenance (folder, upload, camera, …) without one.
    """

    name: str
    n: int
    accuracy: float | None
    interval: tuple[float, float] | None
    kind: str = ""
    site: str = ""


def source_slices(session: Session, run_id: int) -> tuple[SourceSlice, ...]:
    """Return a run's accuracy by source, the largest first; an image counts for its first provenance.

    Raises ProjectError if there is no such run.
    """
    run = get_run(session, run_id)
    if run.evaluation is None:
        return ()
    sources = _sources(session, run.project_id, run.snapshot_id)
    total: Counter[tuple[str, str]] = Counter()
    correct: Counter[tuple[str, str]] = Counter()
    for prediction in run.evaluation.predictions:
        source = sources.get(prediction.sha256, ("", ""))
        total[source] += 1
        correct[source] += prediction.true == prediction.predicted
    slices = []
    for (kind, site), n in total.most_common():
        estimate = AccuracyEstimate.of(correct[kind, site], n)
        slices.append(SourceSlice(site or kind, n, estimate.accuracy, estimate.interval, kind, site))
    return tuple(slices)


def _sources(session: Session, project_id: int, snapshot_id: int) -> dict[str, tuple[str, str]]:
    """Return the kind and the site of each test image's first provenance, by its SHA-256."""
    provenance, member = models.ProvenanceRow, models.SnapshotImageRow
    first = (
        select(func.min(provenance.id))
        .where(provenance.project_id == project_id, provenance.image_id == member.image_id)
        .correlate(member)
        .scalar_subquery()
    )
    rows = session.execute(
        select(models.ImageRow.sha256, provenance.kind, provenance.page_address, provenance.address)
        .join(member, member.image_id == models.ImageRow.id)
        .join(provenance, provenance.id == first)
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
