"""One run in full, as the page's scripts ask for it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy.orm import Session

from studio.curate.items import items
from studio.jobs import queue
from studio.language import _, counted
from studio.retrain.evaluation.evaluation import Evaluation, TestPrediction, misclassified
from studio.retrain.evaluation.slices import slices
from studio.retrain.runs import project_runs
from studio.retrain.runs.project_runs import RunSummary
from studio.web.retraining.setting_words import backbone_title
from studio.web.words import duration, percent, way

MOST_WRONG = 48
"""So many wrong answers are sent with a run; the grid shows them all."""


def inspected(session: Session, project_id: int, run: RunSummary) -> dict[str, Any]:
    """Return what is shown of one run."""
    said: dict[str, Any] = {"warnings": _warnings(session, run), "evaluation": None}
    if run.evaluation is None:
        return said
    wrong = misclassified(run.evaluation)
    return said | {
        "evaluation": _evaluation(run.evaluation),
        "wrong": _wrong(session, project_id, wrong[:MOST_WRONG]),
        "wrong_count": len(wrong),
        "slices": [asdict(each) | {"name": each.site or way(each.kind)} for each in slices(session, run.id)],
        "facts": _facts(run),
    }


def tested(session: Session, run: RunSummary, true: str, predicted: str, *, wrong: bool) -> list[int]:
    """Return the ids of a run's test pictures, those first of which it was surest.

    true, predicted: classes; empty for any. wrong: only those that it got wrong.
    """
    evaluation = run.evaluation
    found = [
        each
        for each in (evaluation.predictions if evaluation is not None else ())
        if (not true or each.true == true)
        and (not predicted or each.predicted == predicted)
        and not (wrong and each.true == each.predicted)
    ]
    return ids_of(session, (each.sha256 for each in sorted(found, key=lambda each: -each.score)))


def _evaluation(evaluation: Evaluation) -> dict[str, Any]:
    values = asdict(evaluation)
    del values["predictions"]
    return values


def _wrong(session: Session, project_id: int, wrong: Sequence[TestPrediction]) -> list[dict[str, Any]]:
    ids = project_runs.image_ids(session, [each.sha256 for each in wrong])
    known = {item.sha256: item for item in items(session, project_id, list(ids.values()))}
    return [
        {
            "image": ids[each.sha256],
            "sha": each.sha256,
            "name": known[each.sha256].name if each.sha256 in known else "",
            "true": each.true,
            "predicted": each.predicted,
            "score": each.score,
            "true_score": each.true_score,
        }
        for each in wrong
        if each.sha256 in ids
    ]


def _warnings(session: Session, run: RunSummary) -> list[str]:
    job = queue.find(session, run.job_id) if run.job_id is not None else None
    if job is None or not job.result:
        return []
    refused = job.result.get("refused", ())
    said = list(job.result.get("warnings", ()))
    if refused:
        said.append(
            counted(
                "{count} picture could not be read and was left out.",
                "{count} pictures could not be read and were left out.",
                len(refused),
            )
        )
    return said


def _facts(run: RunSummary) -> list[tuple[str, str]]:
    """Return what is told of how a run was made: a name and a text each."""
    facts = run.facts
    seconds = facts.get("seconds") or {}
    rows = [
        (_("Backbone"), f"{backbone_title(backbone['name'])} · {backbone['fingerprint']}")
        for backbone in facts.get("backbones") or ()
    ]
    if steps := facts.get("steps"):
        text = f"{steps:,}"
        if run.options.minutes is None and not run.options.fine_tune:
            asked = f"{run.options.how_many_training_steps:,}"
            text = _("{steps} of {asked}").format(steps=text, asked=asked)
        early = " · " + _("stopped early") if facts.get("stopped_early") else ""
        rows.append((_("Steps done"), text + early))
    for key, label in (
        ("bottlenecks", _("Time for bottlenecks")),
        ("training", _("Time for training")),
        ("all", _("Time in all")),
    ):
        if seconds.get(key) is not None:
            rows.append((label, duration(seconds[key])))
    if run.options.l2 is None and facts.get("l2") is not None:
        rows.append((_("L2 that was chosen"), f"{facts['l2']:g}"))
    if tuned := facts.get("fine_tuning"):
        rows.append((_("Fine-tuned"), _tuned(tuned)))
    rows += [(_("Tried"), _tried(tried)) for tried in facts.get("tried") or ()]
    if facts.get("data"):
        rows.append((_("Pictures' hash"), str(facts["data"])[:16]))
    if versions := facts.get("versions"):
        rows.append((_("Versions"), " · ".join(f"{name} {version}" for name, version in versions.items())))
    return rows


def _tuned(tuned: Mapping[str, Any]) -> str:
    parts = [
        _("from {layer} on").format(layer=tuned.get("before", "")),
        counted("{count} epoch", "{count} epochs", tuned.get("epochs", 0)),
        counted("{count} view of each picture", "{count} views of each picture", tuned.get("views", 0)),
    ]
    if tuned.get("size_px"):
        parts.append(_("pictures of {size} px").format(size=tuned["size_px"]))
    if tuned.get("plain_test_accuracy") is not None:
        plain = percent(tuned["plain_test_accuracy"])
        parts.append(_("the quick way came to {accuracy} in the test").format(accuracy=plain))
    return " · ".join(parts)


def _tried(tried: Mapping[str, Any]) -> str:
    parts = [str(tried.get("what", ""))]
    if tried.get("validation_accuracy") is not None:
        parts.append(_("validation {accuracy}").format(accuracy=percent(tried["validation_accuracy"])))
    if tried.get("seconds") is not None:
        parts.append(duration(tried["seconds"]))
    return " · ".join(parts)


def ids_of(session: Session, digests: Iterable[str]) -> list[int]:
    """Return the ids of pictures, in the order of their SHA-256s, of those that there are."""
    wanted = list(digests)
    found = project_runs.image_ids(session, wanted)
    return [found[digest] for digest in wanted if digest in found]
