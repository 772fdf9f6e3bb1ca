"""The comparison of two finished runs as JSON for the page: options, results, classes, images."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from studio.i18n import _
from studio.retrain.runs import run_records
from studio.retrain.runs.compare import (
    ClassMetricsChange,
    ImageChange,
    class_metrics_changes,
    prediction_changes,
)
from studio.retrain.runs.run_records import RunSummary
from studio.retrain.runs.snapshot_records import compare_snapshots
from studio.web.retrain.option_texts import option_texts
from studio.web.retrain.run_details import image_ids
from studio.web.retrain.runs_table import run_title
from studio.web.text import format_percent


def compare_runs(session: Session, earlier: RunSummary, later: RunSummary) -> dict[str, Any]:
    """Return the differences between two finished runs."""
    return {
        "mine": run_title(later),
        "theirs": run_title(earlier),
        "settings": [
            _text_row(option.label, option.cell(later.options).text, option.cell(earlier.options).text)
            for option in option_texts()
        ],
        "results": _result_rows(earlier, later),
        "classes": _class_rows(earlier, later),
        "images": _image_rows(session, earlier, later),
    }


def changed_image_ids(session: Session, earlier: int, later: int, kind: str) -> list[int]:
    """Return the ids of the images that changed between two runs in one way.

    kind: added, removed, relabelled or moved (to another split); mended or broken: predicted correctly by the
    later run only, or by the earlier run only.
    """
    if kind in {"mended", "broken"}:
        before, after = (run_records.get_run(session, run_id).evaluation for run_id in (earlier, later))
        if before is None or after is None:
            return []
        changes = prediction_changes(before, after)
        pairs = changes.fixed if kind == "mended" else changes.regressed
        return image_ids(session, (prediction.sha256 for _before, prediction in pairs))
    snapshots = compare_snapshots(session, earlier, later)
    by_kind: Mapping[str, Sequence[ImageChange]] = {
        "added": snapshots.added,
        "removed": snapshots.removed,
        "relabelled": snapshots.relabelled,
        "moved": snapshots.split_changed,
    }
    return image_ids(session, (change.sha256 for change in by_kind.get(kind, ())))


def _result_rows(earlier: RunSummary, later: RunSummary) -> list[dict[str, Any]]:
    before, after = earlier.evaluation, later.evaluation
    if before is None or after is None:
        return []
    rows = [
        _percent_row(_("Test accuracy"), before.accuracy, after.accuracy),
        _text_row(_("95% CI"), _interval_text(after.interval), _interval_text(before.interval)),
        _text_row(_("Test images"), f"{after.n:,}", f"{before.n:,}"),
    ]
    clean_before, clean_after = before.without_leakage, after.without_leakage
    if clean_after is not None and clean_before is not None:
        label = _("Without duplicates")
        rows.insert(1, _percent_row(label, clean_before.accuracy, clean_after.accuracy))
    if before.calibration is not None and after.calibration is not None:
        errors = before.calibration.expected_error, after.calibration.expected_error
        rows.append(_percent_row(_("Calibration error"), *errors, less_is_better=True))
    rows.append(_text_row(_("Images"), f"{later.images:,}", f"{earlier.images:,}"))
    return rows


def _class_rows(earlier: RunSummary, later: RunSummary) -> list[dict[str, Any]]:
    if earlier.evaluation is None or later.evaluation is None:
        return []
    return [_class_row(change) for change in class_metrics_changes(earlier.evaluation, later.evaluation)]


def _class_row(change: ClassMetricsChange) -> dict[str, Any]:
    before, after = change.before, change.after
    return {
        "label": change.label,
        "recall": after and after.recall,
        "recall_before": before and before.recall,
        "precision": after and after.precision,
        "precision_before": before and before.precision,
    }


def _image_rows(session: Session, earlier: RunSummary, later: RunSummary) -> list[dict[str, Any]]:
    changes = compare_snapshots(session, earlier.id, later.id)
    rows: list[tuple[str, int, Mapping[str, int]]] = [
        (
            "added",
            len(changes.added),
            _count_labels(change.after.label for change in changes.added if change.after),
        ),
        (
            "removed",
            len(changes.removed),
            _count_labels(change.before.label for change in changes.removed if change.before),
        ),
        (
            "relabelled",
            len(changes.relabelled),
            _count_labels(
                f"{change.before.label} → {change.after.label}"
                for change in changes.relabelled
                if change.before and change.after
            ),
        ),
        ("moved", len(changes.split_changed), {}),
    ]
    if earlier.evaluation is not None and later.evaluation is not None:
        predictions = prediction_changes(earlier.evaluation, later.evaluation)
        rows += [
            (kind, len(pairs), _count_labels(after.true for _before, after in pairs))
            for kind, pairs in (("mended", predictions.fixed), ("broken", predictions.regressed))
        ]
    return [
        {
            "kind": kind,
            "count": count,
            "of_class": list(by_class.items()),
            "asking": {"run": later.id, "since": earlier.id, "changed": kind},
        }
        for kind, count, by_class in rows
    ]


def _text_row(label: str, mine: str, theirs: str) -> dict[str, Any]:
    return {"label": label, "mine": mine, "theirs": theirs, "differs": mine != theirs}


def _percent_row(
    label: str, before: float | None, after: float | None, *, less_is_better: bool = False
) -> dict[str, Any]:
    row = _text_row(label, format_percent(after), format_percent(before))
    if before is not None and after is not None:
        points = round((after - before) * 100, 1)
        row["change"] = f"{points:+.1f}" if points else "±0"
        row["better"] = None if not points else (points > 0) != less_is_better
    return row


def _interval_text(interval: tuple[float, float] | None) -> str:
    if interval is None:
        return "—"
    return _("{low} to {high}").format(low=format_percent(interval[0]), high=format_percent(interval[1]))


def _count_labels(labels: Iterable[str]) -> dict[str, int]:
    return dict(Counter(labels).most_common())
