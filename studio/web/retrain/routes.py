"""Routes of a project's runs.

    GET  /studio/projects/{id}/runs                         → {"runs", "columns", "deleted"}
    POST /studio/projects/{id}/runs  {"act", "runs", "text"} → the same, after the action
    GET  /studio/projects/{id}/runs/{run}                   → the results of a run
    GET  /studio/projects/{id}/runs/{run}/differences?from= → the comparison with another run
    GET  /studio/projects/{id}/curves?after=3:120,4:0       → {"curves": {run: {split: [point]}}}, a point
                                                              is [step, accuracy, cross-entropy, seconds]
    POST /studio/projects/{id}/tensorboard                  → {"address"}

Errors are {"error": message}.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from db.engine import Database
from studio.curate.params import LARGEST_ID, InvalidRequest, parse_int
from studio.errors import ProjectError
from studio.i18n import _
from studio.retrain import tasks
from studio.retrain.runs import run_records
from studio.retrain.runs.run_records import RunSummary, best_validation_accuracies, run_ids_in_project
from studio.web.http import json_response, project_get, project_id_of, project_post
from studio.web.retrain import run_comparison, run_details, runs_table
from studio.web.retrain.tensorboard import TensorBoards
from studio.web.state import now

_HEADER = "x-studio-retrain"
_MAX_BODY_BYTES = 1 << 16
_MAX_RUNS = 100
"""Number of runs whose curves one request may ask for."""
_RunId = Annotated[int, Field(ge=1, le=LARGEST_ID)]


class _Action(BaseModel):
    model_config = ConfigDict(strict=True)
    act: Literal["rename", "annotate", "delete", "bring_back", "rerun"]
    runs: list[_RunId] = Field(min_length=1, max_length=1000)
    text: str = Field(default="", max_length=4000)


def retrain_routes(database: Database, tensorboards: TensorBoards) -> list[BaseRoute]:
    """Return the routes of runs."""

    def act(request: Request, body: bytes) -> Response:
        action = _Action.model_validate_json(body)
        with database.read() as session:
            project_id = project_id_of(session, request)
            for run_id in action.runs:
                get_project_run(session, project_id, run_id)
        if action.act == "rerun":
            for run_id in action.runs:
                tasks.enqueue_rerun(database, run_id, now())
        else:
            with database.write() as session:
                _apply(session, action)
        with database.read() as session:
            return _list_runs(session, project_id, request)

    def open_tensorboard(request: Request, _body: bytes) -> Response:
        with database.read() as session:
            project_id = project_id_of(session, request)
            runs = run_records.list_runs(session, project_id)
        titles = [(runs_table.unique_run_title(run), run.folder) for run in runs]
        return json_response({"address": tensorboards.url(project_id, titles)})

    base = "/studio/projects/{project:int}"
    return [
        project_get(f"{base}/runs", database, _list_runs),
        project_post(f"{base}/runs", _HEADER, _MAX_BODY_BYTES, act),
        project_get(f"{base}/runs/{{run:int}}", database, _run_details),
        project_get(f"{base}/runs/{{run:int}}/differences", database, _compare_runs),
        project_get(f"{base}/curves", database, _curves),
        project_post(f"{base}/tensorboard", _HEADER, _MAX_BODY_BYTES, open_tensorboard),
    ]


def image_ids_of_run(session: Session, project_id: int, request: Request) -> list[int]:
    """Return the ids of the images that a request's query selects by a run.

    Query: `run` with any of `true`, `predicted` and `wrong`; or `run`, `since` and `changed`. Raises
    InvalidRequest and ProjectError.
    """
    query = request.query_params
    run = get_project_run(session, project_id, parse_int(query["run"], "run"))
    if "changed" in query:
        earlier = get_project_run(session, project_id, parse_int(query.get("since", ""), "since"))
        return run_comparison.changed_image_ids(session, earlier.id, run.id, query["changed"])
    true, predicted = query.get("true", ""), query.get("predicted", "")
    return run_details.tested_image_ids(session, run, true, predicted, wrong=query.get("wrong") == "1")


def get_project_run(session: Session, project_id: int, run_id: int) -> RunSummary:
    """Return a run of a project with its predictions. Raises ProjectError where there is none."""
    if run_id <= LARGEST_ID:
        run = run_records.get_run(session, run_id)
        if run.project_id == project_id:
            return run
    raise ProjectError(
        _("expected a run of this project; run {id} does not exist here. Reload the page.").format(id=run_id)
    )


def _apply(session: Session, action: _Action) -> None:
    match action.act:
        case "rename":
            run_records.rename(session, action.runs[0], action.text)
        case "annotate":
            run_records.set_note(session, action.runs[0], action.text)
        case "delete":
            run_records.delete(session, action.runs, now())
        case _:
            run_records.restore(session, action.runs)


def _list_runs(session: Session, project_id: int, _request: Request) -> Response:
    runs = run_records.list_runs(session, project_id)
    validation = best_validation_accuracies(session, [run.id for run in runs])
    deleted = run_records.list_runs(session, project_id, deleted=True)
    return json_response(
        {
            "runs": runs_table.table_rows(runs, validation),
            "columns": runs_table.table_columns(),
            "deleted": runs_table.deleted_runs(deleted),
        }
    )


def _run_details(session: Session, project_id: int, request: Request) -> Response:
    run = get_project_run(session, project_id, request.path_params["run"])
    return json_response(run_details.run_details(session, project_id, run))


def _compare_runs(session: Session, project_id: int, request: Request) -> Response:
    earlier_id = parse_int(request.query_params.get("from", ""), "from")
    earlier, later = (
        get_project_run(session, project_id, run_id) for run_id in (earlier_id, request.path_params["run"])
    )
    return json_response(run_comparison.compare_runs(session, earlier, later))


def _curves(session: Session, project_id: int, request: Request) -> Response:
    after = _parse_steps(request.query_params.get("after", ""))
    curves = run_records.get_curves(session, run_ids_in_project(session, project_id, after), after)
    content: dict[int, dict[str, list[Any]]] = {
        run_id: {
            split: [
                [point.step, point.accuracy, point.cross_entropy, point.elapsed_s]
                for point in points
                if point.split == split
            ]
            for split in ("training", "validation")
        }
        for run_id, points in curves.items()
    }
    return json_response({"curves": content})


def _parse_steps(text: str) -> dict[int, int]:
    """Return the step after which points are wanted, by run id. text: such as `3:120,4:0`."""
    parts = [part for part in text.split(",") if part]
    if len(parts) > _MAX_RUNS:
        raise InvalidRequest(
            _("expected at most {limit} runs at once; got {count}. Show fewer curves.").format(
                limit=_MAX_RUNS, count=len(parts)
            )
        )
    steps: dict[int, int] = {}
    for part in parts:
        run_id, _colon, step = part.partition(":")
        steps[parse_int(run_id, "after")] = parse_int(step or "0", "after")
    return steps
