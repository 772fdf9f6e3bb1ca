"""A project's runs as the page's list has them: cells by column, each a text and what it is sorted by."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from studio.language import _
from studio.retrain.options import RunOptions
from studio.retrain.runs.project_runs import RunSummary
from studio.web.retraining.setting_words import settings_in_words
from studio.web.words import duration, moment, percent


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
        "pictures": _("Pictures"),
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
        "pictures": _cell(f"{run.pictures:,}", run.pictures),
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
