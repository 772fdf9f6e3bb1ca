"""A review: one look at a project's labels, for what the others are likely to be and which may be wrong."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from db.engine import Database
from db.labelling import newest_number
from db.models import FindingRow, ImageClassRow, LabelChangeRow, LabelOperationRow, LabelRow
from studio.arrays import FloatArray, Int64Array
from studio.curate.active_learning import Suggester, in_order, taught
from studio.curate.analyse_images import groups_of, ranked
from studio.curate.analysis_files import Studied, read_studied
from studio.curate.findings import DOUBTFUL_FROM, REVIEWED, Found, Kind, found_of, write_study
from studio.curate.kernel_model import fit, kernel_width
from studio.curate.label_issues import doubts
from studio.errors import JobFailed
from studio.i18n import _
from studio.progress import Progress

_SEED = 0
_STEPS = 4


class _Labels(NamedTuple):
    """Images with their labels, by their rows among the surveyed. classes: ids, 0 for none."""

    states: npt.NDArray[np.str_]
    classes: Int64Array


def review(
    database: Database, folder: Path, project_id: int, *, progress: Progress, now: datetime
) -> Mapping[str, Any]:
    """Learn from the labels as they are, write what is found, and return the facts.

    folder: where the survey left its files; images that it has not seen are left out. While fewer than two
    classes have images, nothing but an order is found: the images without a label as the survey spread
    them. Nothing is written when it is stopped. Raises JobFailed where there has been no survey.
    """
    phase = _("Looking at the labels")
    progress.report(phase, 0, _STEPS)
    studied = read_studied(folder)
    if studied is None:
        raise JobFailed(_("The images have not been looked through yet. Press Continue when they have been."))
    with database.read() as session:
        number = newest_number(session, project_id)
        labels = _labels(session, project_id, studied.ids)
        groups = groups_of(session, project_id, studied.ids)
        confirmed = _confirmed(session, project_id)
        spread = found_of(session, project_id, "spread")
    waiting = np.flatnonzero(labels.states == "unlabelled")
    labelled = np.flatnonzero(labels.states == "labelled")
    class_ids, classes = np.unique(labels.classes[labelled], return_inverse=True)
    facts: dict[str, Any] = {"labelled": len(labelled), "classes": len(class_ids), "doubtful": 0}
    found: dict[Kind, Found] = {kind: _nothing() for kind in REVIEWED}
    found["confirmed"] = confirmed
    if len(class_ids) < 2:  # noqa: PLR2004 - telling apart takes two
        order = spread.images[np.argsort(-spread.scores, kind="stable")]
        found["next"] = ranked(order[np.isin(order, studied.ids[waiting])])
    else:
        rng = np.random.default_rng(_SEED)
        fitted = fit(
            studied.vectors[labelled],
            classes,
            len(class_ids),
            width=kernel_width(studied.vectors),
            groups=groups[labelled],
            rng=rng,
        )
        progress.report(phase, 1, _STEPS)
        kept = np.isin(studied.ids[labelled], confirmed.images)
        judged = doubts(
            fitted.held_out,
            fitted.model.probabilities(fitted.held_out),
            classes,
            groups[labelled],
            kept,
        )
        facts["doubtful"] = judged.wrong
        found["doubtful"] = Found(
            studied.ids[labelled[judged.rows]], judged.scores, class_ids[judged.instead]
        )
        progress.report(phase, 2, _STEPS)
        suggester = taught(
            fitted,
            studied.vectors[labelled],
            classes,
            studied.vectors[waiting],
            groups=groups[labelled],
            rng=rng,
        )
        found |= _about_waiting(studied, waiting, suggester, class_ids, groups, rng)
    progress.report(phase, 3, _STEPS)
    with database.write() as session:
        write_study(session, project_id, "review", found, operation_number=number, facts=facts, now=now)
    progress.report(phase, _STEPS, _STEPS)
    return facts


def _about_waiting(
    studied: Studied,
    waiting: npt.NDArray[np.intp],
    suggester: Suggester,
    class_ids: Int64Array,
    groups: Int64Array,
    rng: np.random.Generator,
) -> dict[Kind, Found]:
    ids, vectors = studied.ids[waiting], studied.vectors[waiting]
    if not len(ids):
        return {}
    probabilities = suggester.probabilities(vectors)
    best = probabilities.argmax(axis=1)
    first = suggester.first
    # By what people have said alone: what the studio thinks of itself tells nobody what to ask.
    unsure = 1 - margins(first.probabilities(first.values(vectors)))
    order = in_order(vectors, unsure, first, groups=groups[waiting], rng=rng)
    return {
        "suggestion": Found(ids, probabilities.max(axis=1), class_ids[best]),
        "uncertain": Found(ids, unsure),
        "next": ranked(ids[order]),
    }


def margins(probabilities: FloatArray) -> FloatArray:
    """Return by how much the likeliest class leads the second: (N,). probabilities: (N, two or more)."""
    two = np.partition(probabilities, -2, axis=1)[:, -2:]
    return np.asarray(two[:, 1] - two[:, 0])


def _nothing() -> Found:
    return Found(np.empty(0, np.int64), np.empty(0))


def _labels(session: Session, project_id: int, ids: Int64Array) -> _Labels:
    rows = (
        session.connection()
        .execute(
            select(LabelRow.image_id, LabelRow.state, LabelRow.class_id, ImageClassRow.removed_at)
            .outerjoin(ImageClassRow, ImageClassRow.id == LabelRow.class_id)
            .where(LabelRow.project_id == project_id)
        )
        .all()
    )
    now = {
        image: (state, class_id or 0)
        for image, state, class_id, removed in rows
        if state != "labelled" or (class_id is not None and removed is None)
    }
    gone = ("gone", 0)
    found = [now.get(image, gone) for image in ids.tolist()]
    return _Labels(
        np.array([state for state, _class in found], np.str_), np.array([c for _state, c in found], np.int64)
    )


def _confirmed(session: Session, project_id: int) -> Found:
    """Return the images whose label was doubted and left by a person, each with that class.

    So is one that has been confirmed before and has its class still. One that was labelled otherwise and set
    back by an undo is not: a slip of the hand says nothing of the doubt.
    """
    label, before = LabelRow, found_of(session, project_id, "confirmed")
    rows = session.execute(
        select(label.image_id, label.class_id).where(
            label.project_id == project_id, label.state == "labelled"
        )
    )
    classes = dict(rows.all())
    kept = {
        image: class_id
        for image, class_id in zip(before.images.tolist(), before.named.tolist(), strict=True)
        if classes.get(image) == class_id
    }
    first, last = aliased(LabelOperationRow), aliased(LabelOperationRow)
    change = LabelChangeRow
    # The first change after a doubt says which class was doubted.
    since = (
        select(func.min(first.number))
        .join(change, change.operation_id == first.id)
        .where(
            first.project_id == project_id,
            change.image_id == FindingRow.image_id,
            first.number > FindingRow.operation_number,
        )
        .correlate(FindingRow)
        .scalar_subquery()
    )
    doubted = aliased(LabelChangeRow)
    rows = session.execute(
        select(FindingRow.image_id, label.class_id)
        .join(label, (label.project_id == FindingRow.project_id) & (label.image_id == FindingRow.image_id))
        .join(last, (last.project_id == FindingRow.project_id) & (last.number == label.operation_number))
        .join(first, (first.project_id == FindingRow.project_id) & (first.number == since))
        .join(doubted, (doubted.operation_id == first.id) & (doubted.image_id == FindingRow.image_id))
        .where(
            FindingRow.project_id == project_id,
            FindingRow.kind == "doubtful",
            FindingRow.score >= DOUBTFUL_FROM,
            label.state == "labelled",
            label.operation_number > FindingRow.operation_number,
            last.direction != "undo",
            doubted.state_before == "labelled",
            doubted.class_id_before == label.class_id,
        )
    )
    kept.update(dict(rows.all()))
    return Found(np.array(list(kept), np.int64), np.ones(len(kept)), np.array(list(kept.values()), np.int64))
