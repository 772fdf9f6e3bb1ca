"""The table of a project's runs as JSON for the page: columns, rows, titles and states."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from studio.i18n import _
from studio.retrain.options import RunOptions
from studio.retrain.runs.run_records import RunSummary
from studio.web.retrain.option_texts import Cell, option_texts
from studio.web.text import format_datetime, format_duration, format_percent


def table_columns() -> list[dict[str, str]]:
    """Return the columns: key, label, and for an option the text of its default."""
    defaults = RunOptions()
    results = {
        "accuracy": _("Test accuracy"),
        "validation": _("Validation accuracy"),
        "images": _("Images"),
        "seconds": _("Duration"),
        "created": _("Started"),
    }
    return [
        *({"key": key, "label": label} for key, label in results.items()),
        *(
            {"key": option.key, "label": option.label, "default": option.cell(defaults).text}
            for option in option_texts()
        ),
    ]


def table_rows(runs: Sequence[RunSummary], validation: Mapping[int, float]) -> list[dict[str, Any]]:
    """Return a row for each run. validation: best validation accuracy by run id, 0-1, where known."""
    accuracies = [run.evaluation.accuracy for run in runs if run.evaluation and run.evaluation.accuracy]
    best = max(accuracies, default=None)
    runs_by_id = {run.id: run for run in runs}
    return [_row(run, validation.get(run.id), best, runs_by_id) for run in runs]


def deleted_runs(runs: Iterable[RunSummary]) -> list[dict[str, Any]]:
    """Return the id and the title of each deleted run."""
    return [{"id": run.id, "title": unique_run_title(run)} for run in runs]


def run_title(run: RunSummary) -> str:
    """Return a run's name; its number where it has none."""
    return run.name or run_number(run.id)


def unique_run_title(run: RunSummary) -> str:
    """Return a run's number and name."""
    return f"{run_number(run.id)} {run.name}".strip()


def run_number(run_id: int) -> str:
    """Return `Run 3`."""
    return _("Run {number}").format(number=run_id)


def run_state(run: RunSummary) -> str:
    """Return queued, running, done, failed or stopped; also stopped where the run's job is gone."""
    return run.job_state or "stopped"


def _row(
    run: RunSummary, validation: float | None, best: float | None, runs_by_id: Mapping[int, RunSummary]
) -> dict[str, Any]:
    seconds = (run.facts.get("seconds") or {}).get("all")
    cells: dict[str, Any] = {
        "images": _cell(f"{run.images:,}", run.images),
        "created": _cell(format_datetime(run.created_at), run.created_at.timestamp()),
        **{option.key: option.cell(run.options)._asdict() for option in option_texts()},
    }
    if run.evaluation is not None:
        accuracy = run.evaluation.accuracy
        is_best = accuracy == best and len(runs_by_id) > 1
        cells["accuracy"] = {**_cell(format_percent(accuracy), accuracy), "best": is_best}
    if validation is not None:
        cells["validation"] = _cell(format_percent(validation), validation)
    if seconds is not None:
        cells["seconds"] = _cell(format_duration(seconds), seconds)
    state = run_state(run)
    return {
        "id": run.id,
        "name": run.name,
        "number": run_number(run.id),
        "title": run_title(run),
        "note": run.note,
        "state": state,
        "state_text": _state_titles()[state],
        "error": run.error,
        "origin": _origin_text(run, runs_by_id),
        "cells": cells,
    }


def _state_titles() -> dict[str, str]:
    return {
        "queued": _("waiting"),
        "running": _("running"),
        "done": _("finished"),
        "failed": _("failed"),
        "stopped": _("stopped"),
    }


def _origin_text(run: RunSummary, runs_by_id: Mapping[int, RunSummary]) -> str:
    if run.rerun_of is None:
        return ""
    original = runs_by_id.get(run.rerun_of)
    return _("Repeats {run}.").format(run=run_title(original) if original else run_number(run.rerun_of))


def _cell(text: str, sort: float | str | None) -> dict[str, Any]:
    return Cell(text, sort)._asdict()
