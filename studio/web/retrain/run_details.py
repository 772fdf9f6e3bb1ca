"""The results of one run as JSON for the page: evaluation, wrong predictions, slices, facts, warnings."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy.orm import Session

from studio.curate.items import grid_items
from studio.i18n import _, counted
from studio.jobs import queue
from studio.retrain.evaluation.evaluation import Evaluation, TestPrediction, misclassified
from studio.retrain.evaluation.slices import source_slices
from studio.retrain.runs import run_records
from studio.retrain.runs.run_records import RunSummary
from studio.web.retrain.option_texts import backbone_title
from studio.web.text import format_duration, format_percent, provenance_title

MAX_WRONG_PREDICTIONS = 48
"""Number of wrong predictions sent with a run; the labelling grid shows all."""


def run_details(session: Session, project_id: int, run: RunSummary) -> dict[str, Any]:
    """Return the results of a run."""
    details: dict[str, Any] = {"warnings": _warnings(session, run), "evaluation": None}
    if run.evaluation is None:
        return details
    wrong = misclassified(run.evaluation)
    return details | {
        "evaluation": _evaluation_json(run.evaluation),
        "wrong": _wrong_predictions(session, project_id, wrong[:MAX_WRONG_PREDICTIONS]),
        "wrong_count": len(wrong),
        "slices": [
            asdict(part) | {"name": part.site or provenance_title(part.kind)}
            for part in source_slices(session, run.id)
        ],
        "facts": _fact_rows(run),
    }


def tested_image_ids(
    session: Session, run: RunSummary, true: str, predicted: str, *, wrong: bool
) -> list[int]:
    """Return the ids of a run's test images, by descending confidence.

    true, predicted: class names; empty for any. wrong: only misclassified images.
    """
    predictions = [
        prediction
        for prediction in (run.evaluation.predictions if run.evaluation is not None else ())
        if (not true or prediction.true == true)
        and (not predicted or prediction.predicted == predicted)
        and not (wrong and prediction.true == prediction.predicted)
    ]
    predictions.sort(key=lambda prediction: -prediction.score)
    return image_ids(session, (prediction.sha256 for prediction in predictions))


def image_ids(session: Session, sha256s: Iterable[str]) -> list[int]:
    """Return the ids of images in the order of their SHA-256s; images that are gone are left out."""
    ordered = list(sha256s)
    ids = run_records.image_ids_by_sha256(session, ordered)
    return [ids[sha256] for sha256 in ordered if sha256 in ids]


def _evaluation_json(evaluation: Evaluation) -> dict[str, Any]:
    values = evaluation.to_json()
    del values["predictions"]
    return values


def _wrong_predictions(
    session: Session, project_id: int, wrong: Sequence[TestPrediction]
) -> list[dict[str, Any]]:
    ids = run_records.image_ids_by_sha256(session, [prediction.sha256 for prediction in wrong])
    names = {item.sha256: item.name for item in grid_items(session, project_id, list(ids.values()))}
    return [
        {
            "image": ids[prediction.sha256],
            "sha": prediction.sha256,
            "name": names.get(prediction.sha256, ""),
            "true": prediction.true,
            "predicted": prediction.predicted,
            "score": prediction.score,
            "true_score": prediction.true_score,
        }
        for prediction in wrong
        if prediction.sha256 in ids
    ]


def _warnings(session: Session, run: RunSummary) -> list[str]:
    job = queue.find(session, run.job_id) if run.job_id is not None else None
    if job is None or not job.result:
        return []
    warnings = list(job.result.get("warnings", ()))
    if skipped := job.result.get("refused", ()):
        warnings.append(
            counted(
                "{count} image was skipped because it could not be read.",
                "{count} images were skipped because they could not be read.",
                len(skipped),
            )
        )
    return warnings


def _fact_rows(run: RunSummary) -> list[tuple[str, str]]:
    """Return the facts of a run's training: a label and a text each."""
    facts = run.facts
    seconds = facts.get("seconds") or {}
    rows = [
        (_("Backbone"), f"{backbone_title(backbone['name'])} · {backbone['fingerprint']}")
        for backbone in facts.get("backbones") or ()
    ]
    if steps := facts.get("steps"):
        text = f"{steps:,}"
        if run.options.minutes is None and not run.options.fine_tune:
            total = f"{run.options.how_many_training_steps:,}"
            text = _("{steps} of {total}").format(steps=text, total=total)
        early = " · " + _("stopped early") if facts.get("stopped_early") else ""
        rows.append((_("Steps trained"), text + early))
    for key, label in (
        ("bottlenecks", _("Time for bottlenecks")),
        ("training", _("Time for training")),
        ("all", _("Total time")),
    ):
        if seconds.get(key) is not None:
            rows.append((label, format_duration(seconds[key])))
    if run.options.l2 is None and facts.get("l2") is not None:
        rows.append((_("L2 chosen"), f"{facts['l2']:g}"))
    if fine_tuning := facts.get("fine_tuning"):
        rows.append((_("Fine-tuning"), _fine_tuning_text(fine_tuning)))
    rows += [(_("Tried"), _trial_text(trial)) for trial in facts.get("tried") or ()]
    if facts.get("data"):
        rows.append((_("Snapshot hash"), str(facts["data"])[:16]))
    if versions := facts.get("versions"):
        rows.append((_("Versions"), " · ".join(f"{name} {version}" for name, version in versions.items())))
    return rows


def _fine_tuning_text(fine_tuning: Mapping[str, Any]) -> str:
    parts = [
        _("trained from layer {layer}").format(layer=fine_tuning.get("before", "")),
        counted("{count} epoch", "{count} epochs", fine_tuning.get("epochs", 0)),
        counted("{count} view per image", "{count} views per image", fine_tuning.get("views", 0)),
    ]
    if fine_tuning.get("size_px"):
        parts.append(_("images of {size} px").format(size=fine_tuning["size_px"]))
    if fine_tuning.get("plain_test_accuracy") is not None:
        accuracy = format_percent(fine_tuning["plain_test_accuracy"])
        parts.append(_("test accuracy without fine-tuning: {accuracy}").format(accuracy=accuracy))
    return " · ".join(parts)


def _trial_text(trial: Mapping[str, Any]) -> str:
    parts = [str(trial.get("what", ""))]
    if trial.get("validation_accuracy") is not None:
        accuracy = format_percent(trial["validation_accuracy"])
        parts.append(_("validation accuracy {accuracy}").format(accuracy=accuracy))
    if trial.get("seconds") is not None:
        parts.append(format_duration(trial["seconds"]))
    return " · ".join(parts)
