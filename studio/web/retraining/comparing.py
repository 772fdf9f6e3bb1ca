"""What is different between two runs, as the page's scripts ask for it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from studio.language import _
from studio.retrain.runs import project_runs
from studio.retrain.runs.changes import Change, ScoreChange, score_changes, turned
from studio.retrain.runs.project_runs import RunSummary
from studio.retrain.runs.project_snapshots import changes_between
from studio.web.retraining.inspecting import ids_of
from studio.web.retraining.listing import title_of
from studio.web.retraining.setting_words import settings_in_words
from studio.web.words import percent


def changed(session: Session, earlier: int, later: int, kind: str) -> list[int]:
    """Return the ids of pictures that differ between what two runs learnt from or came to.

    kind: added, removed, relabelled or moved; mended or broken for those that only the later one, or only
    the earlier one, got right.
    """
    if kind in {"mended", "broken"}:
        one, other = (project_runs.run(session, run_id).evaluation for run_id in (earlier, later))
        if one is None or other is None:
            return []
        found = turned(one, other)
        pairs = found.mended if kind == "mended" else found.broken
        return ids_of(session, (after.sha256 for _before, after in pairs))
    difference = changes_between(session, earlier, later)
    chosen: Mapping[str, Sequence[Change]] = {
        "added": difference.added,
        "removed": difference.removed,
        "relabelled": difference.relabelled,
        "moved": difference.moved,
    }
    return ids_of(session, (each.sha256 for each in chosen.get(kind, ())))


def differences(session: Session, earlier: RunSummary, later: RunSummary) -> dict[str, Any]:
    """Return what is different between two finished runs."""
    return {
        "mine": title_of(later),
        "theirs": title_of(earlier),
        "settings": [
            _pair(setting.label, setting.word(later.options).text, setting.word(earlier.options).text)
            for setting in settings_in_words()
        ],
        "results": _results(earlier, later),
        "classes": _classes(earlier, later),
        "pictures": _pictures(session, earlier, later),
    }


def _pair(label: str, mine: str, theirs: str) -> dict[str, Any]:
    return {"label": label, "mine": mine, "theirs": theirs, "differs": mine != theirs}


def _results(earlier: RunSummary, later: RunSummary) -> list[dict[str, Any]]:
    one, other = earlier.evaluation, later.evaluation
    if one is None or other is None:
        return []
    rows = [
        _rise(_("Test accuracy"), one.accuracy, other.accuracy),
        _pair(_("95% interval"), _between(other.interval), _between(one.interval)),
        _pair(_("Test pictures"), f"{other.n:,}", f"{one.n:,}"),
    ]
    clean_before, clean = one.without_copies, other.without_copies
    if clean is not None and clean_before is not None:
        rows.insert(1, _rise(_("After copies are taken out"), clean_before.accuracy, clean.accuracy))
    if one.calibration is not None and other.calibration is not None:
        errors = one.calibration.expected_error, other.calibration.expected_error
        rows.append(_rise(_("Calibration error"), *errors, less_is_better=True))
    rows.append(_pair(_("Pictures"), f"{later.pictures:,}", f"{earlier.pictures:,}"))
    return rows


def _rise(
    label: str, before: float | None, now: float | None, *, less_is_better: bool = False
) -> dict[str, Any]:
    row = _pair(label, percent(now), percent(before))
    if before is not None and now is not None:
        points = round((now - before) * 100, 1)
        row["change"] = f"{points:+.1f}" if points else "±0"
        row["better"] = None if not points else (points > 0) != less_is_better
    return row


def _between(interval: tuple[float, float] | None) -> str:
    if interval is None:
        return "—"
    return _("{low} to {high}").format(low=percent(interval[0]), high=percent(interval[1]))


def _classes(earlier: RunSummary, later: RunSummary) -> list[dict[str, Any]]:
    if earlier.evaluation is None or later.evaluation is None:
        return []
    return [_class(each) for each in score_changes(earlier.evaluation, later.evaluation)]


def _class(change: ScoreChange) -> dict[str, Any]:
    before, after = change.before, change.after
    return {
        "label": change.label,
        "recall": after and after.recall,
        "recall_before": before and before.recall,
        "precision": after and after.precision,
        "precision_before": before and before.precision,
    }


def _pictures(session: Session, earlier: RunSummary, later: RunSummary) -> list[dict[str, Any]]:
    found = changes_between(session, earlier.id, later.id)
    rows: list[tuple[str, int, Mapping[str, int]]] = [
        ("added", len(found.added), _by_class(each.after.label for each in found.added if each.after)),
        (
            "removed",
            len(found.removed),
            _by_class(each.before.label for each in found.removed if each.before),
        ),
        (
            "relabelled",
            len(found.relabelled),
            _by_class(
                f"{each.before.label} → {each.after.label}"
                for each in found.relabelled
                if each.before and each.after
            ),
        ),
        ("moved", len(found.moved), {}),
    ]
    if earlier.evaluation is not None and later.evaluation is not None:
        turns = turned(earlier.evaluation, later.evaluation)
        rows += [
            ("mended", len(turns.mended), _by_class(after.true for _before, after in turns.mended)),
            ("broken", len(turns.broken), _by_class(after.true for _before, after in turns.broken)),
        ]
    return [
        {
            "kind": kind,
            "count": count,
            "of_class": list(of_class.items()),
            "asking": {"run": later.id, "since": earlier.id, "changed": kind},
        }
        for kind, count, of_class in rows
    ]


def _by_class(labels: Iterable[str]) -> dict[str, int]:
    return dict(Counter(labels).most_common())
