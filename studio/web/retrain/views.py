"""A project's runs as the page's list has them: cells by column, each a text and what it is sorted by."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from studio.backbones import BACKBONES
from studio.curate.items import items
from studio.i18n import _, counted
from studio.jobs import queue
from studio.retrain.evaluation.evaluation import Evaluation, TestPrediction, misclassified
from studio.retrain.evaluation.slices import slices
from studio.retrain.options import ClassWeighting, Optimizer, RunOptions
from studio.retrain.runs import run_records
from studio.retrain.runs.compare import Change, ScoreChange, score_changes, turned
from studio.retrain.runs.run_records import RunSummary
from studio.retrain.runs.snapshot_records import changes_between
from studio.web.text import duration, moment, percent, way

Sorted = float | str | None


class Worded(NamedTuple):
    """A value for people, and what it is sorted by."""

    text: str
    sort: Sorted


class Setting(NamedTuple):
    """One setting. word: what it is in some options."""

    key: str
    label: str
    word: Callable[[RunOptions], Worded]


def backbone_title(name: str) -> str:
    """Return how people know a backbone, or several joined by "+"; as it is where no registry has it."""
    known = (BACKBONES.get(part) for part in name.split("+"))
    return " + ".join(each.title if each else part for part, each in zip(name.split("+"), known, strict=True))


def settings_in_words() -> tuple[Setting, ...]:
    """Return every setting, in the order in which a table shows them."""
    return (
        Setting("backbone", _("Backbone"), lambda o: _text(backbone_title(o.backbone))),
        Setting("fine_tune", _("Fine-tuned"), _fine_tuned),
        Setting("how_many_training_steps", _("Steps"), lambda o: _number(o.how_many_training_steps)),
        Setting("learning_rate", _("Learning rate"), lambda o: _number(o.learning_rate)),
        Setting("optimizer", _("Optimizer"), lambda o: _text(optimizers()[o.optimizer])),
        Setting("l2", "L2", lambda o: Worded(_("chosen"), -1.0) if o.l2 is None else _number(o.l2)),
        Setting("train_batch_size", _("Batch"), lambda o: _number(o.train_batch_size)),
        Setting("class_weighting", _("Drawn alike"), lambda o: _text(weightings()[o.class_weighting])),
        Setting("patience", _("Patience"), lambda o: _number(o.patience)),
        Setting("distortions", _("Distortions"), lambda o: _text(distortions_in_words(o))),
        Setting("minutes", _("Best in"), _minutes),
        Setting("seed", _("Seed"), lambda o: _number(o.seed)),
        Setting("validation_percentage", _("Validation"), lambda o: _percent(o.validation_percentage)),
        Setting("testing_percentage", _("Testing"), lambda o: _percent(o.testing_percentage)),
        Setting("eval_step_interval", _("Validated every"), lambda o: _number(o.eval_step_interval)),
        Setting("validation_batch_size", _("Validation batch"), lambda o: _batch(o.validation_batch_size)),
        Setting("test_batch_size", _("Test batch"), lambda o: _batch(o.test_batch_size)),
        Setting("compat", _("Conventions"), lambda o: _text(o.compat or _("the studio's"))),
    )


def optimizers() -> dict[Optimizer, str]:
    """Return the optimizers' names."""
    return {"sgd": _("plain gradient descent"), "momentum": _("momentum"), "adam": "Adam"}


def weightings() -> dict[ClassWeighting, str]:
    """Return what is drawn alike, by `class_weighting`."""
    return {"balanced": _("classes"), "none": _("images")}


def distortions_in_words(options: RunOptions) -> str:
    """Return the distortions that are asked for, such as `flip, crop 10%, 4 views`; a dash for none."""
    if not options.distorts:
        return "—"
    amounts = {
        _("crop {amount}%"): options.random_crop,
        _("scale {amount}%"): options.random_scale,
        _("brightness {amount}%"): options.random_brightness,
        _("rotation {amount}°"): options.random_rotation,
        _("colour {amount}%"): options.random_colour,
    }
    said = [_("flip")] if options.flip_left_right else []
    said += [text.format(amount=amount) for text, amount in amounts.items() if amount]
    said.append(counted("{count} view", "{count} views", options.distorted_views))
    return ", ".join(said)


def _fine_tuned(options: RunOptions) -> Worded:
    if not options.fine_tune:
        return Worded("—", 0)
    epochs = options.fine_tune_epochs
    return Worded(counted("{count} epoch", "{count} epochs", epochs), epochs)


def _minutes(options: RunOptions) -> Worded:
    if options.minutes is None:
        return Worded("—", None)
    return Worded(_("{count} min").format(count=f"{options.minutes:g}"), options.minutes)


def _batch(size: int) -> Worded:
    return Worded(_("all"), 2**31) if size == -1 else _number(size)


def _text(text: str) -> Worded:
    return Worded(text, text)


def _number(value: float) -> Worded:
    return Worded(f"{value:,}" if isinstance(value, int) else f"{value:g}", value)


def _percent(value: float) -> Worded:
    return Worded(f"{value:g}%", value)


def title_of(run: RunSummary) -> str:
    """Return what a run is called: its name, or its number where it has none."""
    return run.name or number_of(run.id)


def named(run: RunSummary) -> str:
    """Return its number and its name: what no other run is called."""
    return f"{number_of(run.id)} {run.name}".strip()


def number_of(run_id: int) -> str:
    """Return `Run 3`."""
    return _("Run {number}").format(number=run_id)


def columns() -> list[dict[str, str]]:
    """Return the columns that a list may show: key, label, and for a setting the text of its default."""
    usual = RunOptions()
    figures = {
        "accuracy": _("Test accuracy"),
        "validation": _("Validation"),
        "images": _("Images"),
        "seconds": _("Took"),
        "created": _("Begun"),
    }
    return [
        *({"key": key, "label": label} for key, label in figures.items()),
        *(
            {"key": setting.key, "label": setting.label, "default": setting.word(usual).text}
            for setting in settings_in_words()
        ),
    ]


def listed(runs: Sequence[RunSummary], validation: Mapping[int, float]) -> list[dict[str, Any]]:
    """Return the runs for the list. validation: the best validation accuracy of each, 0-1, where known."""
    finished = [run.evaluation.accuracy for run in runs if run.evaluation and run.evaluation.accuracy]
    best = max(finished, default=None)
    known = {run.id: run for run in runs}
    return [_listed(run, validation.get(run.id), best, known) for run in runs]


def _listed(
    run: RunSummary, validation: float | None, best: float | None, known: Mapping[int, RunSummary]
) -> dict[str, Any]:
    state = state_of(run)
    seconds = (run.facts.get("seconds") or {}).get("all")
    evaluation = run.evaluation
    cells: dict[str, Any] = {
        "images": _cell(f"{run.images:,}", run.images),
        "created": _cell(moment(run.created_at), run.created_at.timestamp()),
        **{setting.key: _cell(*setting.word(run.options)) for setting in settings_in_words()},
    }
    if evaluation is not None:
        accuracy = evaluation.accuracy
        is_best = accuracy == best and len(known) > 1
        cells["accuracy"] = {**_cell(percent(accuracy), accuracy), "best": is_best}
    if validation is not None:
        cells["validation"] = _cell(percent(validation), validation)
    if seconds is not None:
        cells["seconds"] = _cell(duration(seconds), seconds)
    return {
        "id": run.id,
        "name": run.name,
        "number": number_of(run.id),
        "title": title_of(run),
        "note": run.note,
        "state": state,
        "state_text": states()[state],
        "error": run.error,
        "origin": _origin(run, known),
        "cells": cells,
    }


def _origin(run: RunSummary, known: Mapping[int, RunSummary]) -> str:
    if run.rerun_of is None:
        return ""
    first = known.get(run.rerun_of)
    return _("Done again, as {run}.").format(run=title_of(first) if first else number_of(run.rerun_of))


def state_of(run: RunSummary) -> str:
    """Return queued, running, done, failed or stopped; the last also where the job is gone."""
    return run.job_state or "stopped"


def states() -> dict[str, str]:
    """Return the words for the states of a run."""
    return {
        "queued": _("waiting"),
        "running": _("running"),
        "done": _("finished"),
        "failed": _("failed"),
        "stopped": _("stopped"),
    }


def deleted(runs: Iterable[RunSummary]) -> list[dict[str, Any]]:
    """Return the runs that were deleted, for the list of those that can be brought back."""
    return [{"id": run.id, "title": named(run)} for run in runs]


def _cell(text: str, sort: float | str | None) -> dict[str, Any]:
    return {"text": text, "sort": sort}


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
    """Return the ids of a run's test images, those first of which it was surest.

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
    ids = run_records.image_ids(session, [each.sha256 for each in wrong])
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
                "{count} image could not be read and was left out.",
                "{count} images could not be read and were left out.",
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
        rows.append((_("Images' hash"), str(facts["data"])[:16]))
    if versions := facts.get("versions"):
        rows.append((_("Versions"), " · ".join(f"{name} {version}" for name, version in versions.items())))
    return rows


def _tuned(tuned: Mapping[str, Any]) -> str:
    parts = [
        _("from {layer} on").format(layer=tuned.get("before", "")),
        counted("{count} epoch", "{count} epochs", tuned.get("epochs", 0)),
        counted("{count} view of each image", "{count} views of each image", tuned.get("views", 0)),
    ]
    if tuned.get("size_px"):
        parts.append(_("images of {size} px").format(size=tuned["size_px"]))
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
    """Return the ids of images, in the order of their SHA-256s, of those that there are."""
    wanted = list(digests)
    found = run_records.image_ids(session, wanted)
    return [found[digest] for digest in wanted if digest in found]


def changed(session: Session, earlier: int, later: int, kind: str) -> list[int]:
    """Return the ids of images that differ between what two runs learnt from or came to.

    kind: added, removed, relabelled or moved; mended or broken for those that only the later one, or only
    the earlier one, got right.
    """
    if kind in {"mended", "broken"}:
        one, other = (run_records.run(session, run_id).evaluation for run_id in (earlier, later))
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
        "images": _images(session, earlier, later),
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
        _pair(_("Test images"), f"{other.n:,}", f"{one.n:,}"),
    ]
    clean_before, clean = one.without_copies, other.without_copies
    if clean is not None and clean_before is not None:
        rows.insert(1, _rise(_("After copies are taken out"), clean_before.accuracy, clean.accuracy))
    if one.calibration is not None and other.calibration is not None:
        errors = one.calibration.expected_error, other.calibration.expected_error
        rows.append(_rise(_("Calibration error"), *errors, less_is_better=True))
    rows.append(_pair(_("Images"), f"{later.images:,}", f"{earlier.images:,}"))
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


def _images(session: Session, earlier: RunSummary, later: RunSummary) -> list[dict[str, Any]]:
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
