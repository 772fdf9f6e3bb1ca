"""Analysis of a project's labels: suggestions, a ranking for labelling, label issues."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from db.labelling import latest_operation_number
from db.models import FindingRow, ImageClassRow, LabelChangeRow, LabelOperationRow, LabelRow
from studio.arrays import FloatArray, Int64Array
from studio.curate.active_learning import Suggester, fit_suggester, rank_for_labelling
from studio.curate.analyse_images import duplicate_group_ids, ranking_result
from studio.curate.analysis_files import AnalysisVectors, read_vectors
from studio.curate.analysis_results import (
    LABEL_ANALYSIS,
    LABEL_ANALYSIS_KINDS,
    LABEL_ISSUE,
    LABEL_ISSUE_THRESHOLD,
    AnalysisContext,
    AnalysisResult,
    read_result,
    write_analysis,
)
from studio.curate.kernel_model import fit_kernel_ridge, kernel_width
from studio.curate.label_issues import find_label_issues
from studio.errors import JobFailed
from studio.i18n import _

_SEED = 0
_STEPS = 4


class _LabelArrays(NamedTuple):
    """Labels of the analysed images, by row. classes: ids, 0 for none."""

    states: npt.NDArray[np.str_]
    classes: Int64Array


def analyse_labels(context: AnalysisContext) -> Mapping[str, Any]:
    """Fit a model to the labels, write suggestions, label issues and a ranking, and return the facts.

    Images that the image analysis has not seen are left out. While fewer than two classes have images, the
    only result is a ranking: the unlabelled images in the diverse order of the image analysis. When stopped,
    nothing is written. Raises JobFailed where there was no image analysis.
    """
    phase, progress = _("Analysing the labels"), context.progress
    progress.report(phase, 0, _STEPS)
    analysed = read_vectors(context.folder)
    if analysed is None:
        raise JobFailed(_("The images have not been analysed yet. Press Continue when they have been."))
    with context.database.read() as session:
        number = latest_operation_number(session, context.project_id)
        labels = _read_labels(session, context.project_id, analysed.ids)
        groups = duplicate_group_ids(session, context.project_id, analysed.ids)
        confirmed = _confirmed_labels(session, context.project_id)
        diverse = read_result(session, context.project_id, "spread")
    unlabelled = np.flatnonzero(labels.states == "unlabelled")
    labelled = np.flatnonzero(labels.states == "labelled")
    class_ids, classes = np.unique(labels.classes[labelled], return_inverse=True)
    facts: dict[str, Any] = {"labelled": len(labelled), "classes": len(class_ids), "doubtful": 0}
    results = {kind: _empty_result() for kind in LABEL_ANALYSIS_KINDS}
    results["confirmed"] = confirmed
    if len(class_ids) < 2:  # noqa: PLR2004 - a classifier takes two
        order = diverse.images[np.argsort(-diverse.scores, kind="stable")]
        results["next"] = ranking_result(order[np.isin(order, analysed.ids[unlabelled])])
    else:
        rng = np.random.default_rng(_SEED)
        fitted = fit_kernel_ridge(
            analysed.vectors[labelled],
            classes,
            len(class_ids),
            width=kernel_width(analysed.vectors),
            groups=groups[labelled],
            rng=rng,
        )
        progress.report(phase, 1, _STEPS)
        issues = find_label_issues(
            fitted.held_out,
            fitted.model.probabilities(fitted.held_out),
            classes,
            groups[labelled],
            np.isin(analysed.ids[labelled], confirmed.images),
        )
        facts["doubtful"] = issues.wrong_count
        results[LABEL_ISSUE] = AnalysisResult(
            analysed.ids[labelled[issues.rows]], issues.scores, class_ids[issues.suggested]
        )
        progress.report(phase, 2, _STEPS)
        suggester = fit_suggester(
            fitted,
            analysed.vectors[labelled],
            classes,
            analysed.vectors[unlabelled],
            groups=groups[labelled],
            rng=rng,
        )
        results |= _suggest(analysed, unlabelled, suggester, class_ids, groups, rng)
    progress.report(phase, 3, _STEPS)
    with context.database.write() as session:
        write_analysis(
            session,
            context.project_id,
            LABEL_ANALYSIS,
            results,
            operation_number=number,
            facts=facts,
            now=context.now,
        )
    progress.report(phase, _STEPS, _STEPS)
    return facts


def _suggest(
    analysed: AnalysisVectors,
    unlabelled: npt.NDArray[np.intp],
    suggester: Suggester,
    class_ids: Int64Array,
    groups: Int64Array,
    rng: np.random.Generator,
) -> dict[str, AnalysisResult]:
    """Return suggestions, uncertainties and the order for labelling of the unlabelled images."""
    ids, vectors = analysed.ids[unlabelled], analysed.vectors[unlabelled]
    if not len(ids):
        return {}
    probabilities = suggester.probabilities(vectors)
    best = probabilities.argmax(axis=1)
    model = suggester.label_model
    # From people's labels alone: pseudo-labels carry no information about what to ask.
    uncertainty = 1 - margins(model.probabilities(model.values(vectors)))
    order = rank_for_labelling(vectors, uncertainty, model, groups=groups[unlabelled], rng=rng)
    return {
        "suggestion": AnalysisResult(ids, probabilities.max(axis=1), class_ids[best]),
        "uncertain": AnalysisResult(ids, uncertainty),
        "next": ranking_result(ids[order]),
    }


def margins(probabilities: FloatArray) -> FloatArray:
    """Return the probability of the likeliest class less that of the second: (N,).

    probabilities: (N, classes), of two classes or more.
    """
    two = np.partition(probabilities, -2, axis=1)[:, -2:]
    return np.asarray(two[:, 1] - two[:, 0])


def _empty_result() -> AnalysisResult:
    return AnalysisResult(np.empty(0, np.int64), np.empty(0))


def _read_labels(session: Session, project_id: int, ids: Int64Array) -> _LabelArrays:
    rows = (
        session.connection()
        .execute(
            select(LabelRow.image_id, LabelRow.state, LabelRow.class_id, ImageClassRow.removed_at)
            .outerjoin(ImageClassRow, ImageClassRow.id == LabelRow.class_id)
            .where(LabelRow.project_id == project_id)
        )
        .all()
    )
    labels = {
        image: (state, class_id or 0)
        for image, state, class_id, removed in rows
        if state != "labelled" or (class_id is not None and removed is None)
    }
    missing = ("missing", 0)
    found = [labels.get(image, missing) for image in ids.tolist()]
    return _LabelArrays(
        np.array([state for state, _class in found], np.str_), np.array([c for _state, c in found], np.int64)
    )


def _confirmed_labels(session: Session, project_id: int) -> AnalysisResult:
    """Return the images with a label issue whose label a person has confirmed, each with that class.

    An image that was confirmed before and still has the class is included. One that was labelled otherwise
    and set back by an undo is not: undoing a slip confirms nothing.
    """
    label, before = LabelRow, read_result(session, project_id, "confirmed")
    rows = session.execute(
        select(label.image_id, label.class_id).where(
            label.project_id == project_id, label.state == "labelled"
        )
    )
    classes = dict(rows.all())
    confirmed = {
        image: class_id
        for image, class_id in zip(before.images.tolist(), before.class_ids.tolist(), strict=True)
        if classes.get(image) == class_id
    }
    first, last = aliased(LabelOperationRow), aliased(LabelOperationRow)
    change = LabelChangeRow
    # The first change after the analysis says which class had the issue.
    first_number = (
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
    changed = aliased(LabelChangeRow)
    rows = session.execute(
        select(FindingRow.image_id, label.class_id)
        .join(label, (label.project_id == FindingRow.project_id) & (label.image_id == FindingRow.image_id))
        .join(last, (last.project_id == FindingRow.project_id) & (last.number == label.operation_number))
        .join(first, (first.project_id == FindingRow.project_id) & (first.number == first_number))
        .join(changed, (changed.operation_id == first.id) & (changed.image_id == FindingRow.image_id))
        .where(
            FindingRow.project_id == project_id,
            FindingRow.kind == LABEL_ISSUE,
            FindingRow.score >= LABEL_ISSUE_THRESHOLD,
            label.state == "labelled",
            label.operation_number > FindingRow.operation_number,
            last.direction != "undo",
            changed.state_before == "labelled",
            changed.class_id_before == label.class_id,
        )
    )
    confirmed.update(dict(rows.all()))
    return AnalysisResult(
        np.array(list(confirmed), np.int64),
        np.ones(len(confirmed)),
        np.array(list(confirmed.values()), np.int64),
    )
