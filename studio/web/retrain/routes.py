"""The routes of a project's runs.

    GET  /studio/projects/{id}/runs                         → {"runs", "columns", "deleted"}
    POST /studio/projects/{id}/runs  {"act", "runs", "text"} → the same, after it was done
    GET  /studio/projects/{id}/runs/{run}                   → what is shown of one
    GET  /studio/projects/{id}/runs/{run}/differences?from= → what is different from another
    GET  /studio/projects/{id}/curves?after=3:120,4:0       → {"curves": {run: {split: [point]}}}, since;
                                                              [step, accuracy, cross-entropy, seconds]
    POST /studio/projects/{id}/tensorboard                  → {"address"}

Only our own pages may ask for what changes something. A fault is {"error": a text for people}.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from db.engine import Database
from db.models import ProjectRow
from studio.curate.params import LARGEST_ID, NotUnderstood, whole
from studio.errors import ProjectError, StudioError
from studio.i18n import _
from studio.retrain import tasks
from studio.retrain.runs import run_records
from studio.retrain.runs.run_records import RunSummary, best_validations, runs_among
from studio.web.http import PRIVATE, body_from_own_page, fault, from_own_page
from studio.web.retrain import views
from studio.web.retrain.tensorboard import TensorBoards
from studio.web.state import now


def tested_or_changed(session: Session, project_id: int, request: Request) -> list[int]:
    """Return the ids of the images that a request names by a run.

    It says `run` and any of `true`, `predicted` and `wrong`; or `run`, `since` and `changed`.
    Raises NotUnderstood and ProjectError.
    """
    asked = request.query_params
    run = run_of(session, project_id, whole(asked["run"], "run"))
    if "changed" in asked:
        earlier = run_of(session, project_id, whole(asked.get("since", ""), "since"))
        return views.changed(session, earlier.id, run.id, asked["changed"])
    true, predicted = asked.get("true", ""), asked.get("predicted", "")
    return views.tested(session, run, true, predicted, wrong=asked.get("wrong") == "1")


def run_of(session: Session, project_id: int, run_id: int) -> RunSummary:
    """Return a run of this project with all its answers. Raises ProjectError where there is none."""
    if run_id <= LARGEST_ID:
        run = run_records.run(session, run_id)
        if run.project_id == project_id:
            return run
    raise ProjectError(
        _("expected a run of this project; there is none with the number {id}.").format(id=run_id)
    )


_HEADER = "x-studio-retrain"
_BODY_BYTES = 1 << 16
_MOST_RUNS = 100
"""So many curves at most in one question."""
_RunId = Annotated[int, Field(ge=1, le=LARGEST_ID)]


class _Act(BaseModel):
    model_config = ConfigDict(strict=True)
    act: Literal["rename", "annotate", "delete", "bring_back", "rerun"]
    runs: list[_RunId] = Field(min_length=1, max_length=1000)
    text: str = Field(default="", max_length=4000)


def retraining_routes(database: Database, boards: TensorBoards) -> list[BaseRoute]:
    """Return the routes over one data folder. boards: what starts TensorBoard."""

    def look(answer: Callable[[Session, int, Request], dict[str, Any]]) -> Callable[[Request], Response]:
        # Not a coroutine: Starlette runs it in a thread, so that no look holds others up.
        def guarded(request: Request) -> Response:
            try:
                with database.read() as session:
                    return JSONResponse(answer(session, _project(session, request), request), headers=PRIVATE)
            except ProjectError as error:
                return fault(str(error), 404)
            except NotUnderstood as error:
                return fault(str(error), 400)

        return guarded

    async def act(request: Request) -> Response:
        refusal = _("Only the studio's own pages may change runs.")
        body = await body_from_own_page(request, _HEADER, _BODY_BYTES, refusal=refusal)
        if isinstance(body, Response):
            return body
        return await run_in_threadpool(guarded_act, request, body)

    def guarded_act(request: Request, body: bytes) -> Response:
        try:
            return acted(request, _Act.model_validate_json(body))
        except (ValidationError, NotUnderstood):
            return fault(_("This cannot be done with a run. Reload the page and try again."), 400)
        except ProjectError as error:
            return fault(str(error), 404)
        except StudioError as error:
            return fault(str(error), 409)

    def acted(request: Request, asked: _Act) -> Response:
        with database.read() as session:
            project_id = _project(session, request)
            for run_id in asked.runs:
                run_of(session, project_id, run_id)
        if asked.act == "rerun":
            for run_id in asked.runs:
                tasks.rerun(database, run_id, now())
        else:
            with database.write() as session:
                _change(session, asked)
        with database.read() as session:
            return JSONResponse(_runs(session, project_id, request), headers=PRIVATE)

    async def board(request: Request) -> Response:
        if not from_own_page(request, _HEADER):
            return fault(_("Only the studio's own pages may start TensorBoard."), 403)
        try:
            return JSONResponse({"address": await run_in_threadpool(opened, request)}, headers=PRIVATE)
        except ProjectError as error:
            return fault(str(error), 404)
        except StudioError as error:
            return fault(str(error), 409)

    def opened(request: Request) -> str:
        with database.read() as session:
            project_id = _project(session, request)
            runs = run_records.runs(session, project_id)
        return boards.address(project_id, [(views.named(run), run.folder) for run in runs])

    base = "/studio/projects/{project:int}"
    return [
        Route(f"{base}/runs", look(_runs), methods=["GET"]),
        Route(f"{base}/runs", act, methods=["POST"]),
        Route(f"{base}/runs/{{run:int}}", look(_inspected)),
        Route(f"{base}/runs/{{run:int}}/differences", look(_differences)),
        Route(f"{base}/curves", look(_curves)),
        Route(f"{base}/tensorboard", board, methods=["POST"]),
    ]


def _project(session: Session, request: Request) -> int:
    project_id: int = request.path_params["project"]
    if project_id > LARGEST_ID or session.get(ProjectRow, project_id) is None:
        raise ProjectError(_("There is no such project. It may have been deleted; choose another."))
    return project_id


def _runs(session: Session, project_id: int, _request: Request) -> dict[str, Any]:
    runs = run_records.runs(session, project_id)
    validation = best_validations(session, [run.id for run in runs])
    gone = run_records.runs(session, project_id, deleted=True)
    return {
        "runs": views.listed(runs, validation),
        "columns": views.columns(),
        "deleted": views.deleted(gone),
    }


def _inspected(session: Session, project_id: int, request: Request) -> dict[str, Any]:
    run = run_of(session, project_id, request.path_params["run"])
    return views.inspected(session, project_id, run)


def _differences(session: Session, project_id: int, request: Request) -> dict[str, Any]:
    earlier = whole(request.query_params.get("from", ""), "from")
    runs = [run_of(session, project_id, run_id) for run_id in (earlier, request.path_params["run"])]
    return views.differences(session, *runs)


def _curves(session: Session, project_id: int, request: Request) -> dict[str, Any]:
    parts = [part for part in request.query_params.get("after", "").split(",") if part]
    if len(parts) > _MOST_RUNS:
        raise NotUnderstood(
            _("expected at most {most} runs at once; {count} came.").format(most=_MOST_RUNS, count=len(parts))
        )
    after: dict[int, int] = {}
    for part in parts:
        run_id, _colon, step = part.partition(":")
        after[whole(run_id, "after")] = whole(step or "0", "after")
    found = run_records.curves(session, runs_among(session, project_id, after), after)
    return {
        "curves": {
            run_id: {
                split: [
                    [point.step, point.accuracy, point.cross_entropy, point.elapsed_s]
                    for point in points
                    if point.split == split
                ]
                for split in ("training", "validation")
            }
            for run_id, points in found.items()
        }
    }


def _change(session: Session, asked: _Act) -> None:
    match asked.act:
        case "rename":
            run_records.rename(session, asked.runs[0], asked.text)
        case "annotate":
            run_records.annotate(session, asked.runs[0], asked.text)
        case "delete":
            run_records.delete(session, asked.runs, now())
        case _:
            run_records.bring_back(session, asked.runs)
