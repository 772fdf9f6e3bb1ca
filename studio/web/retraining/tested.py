"""The pictures that a request means by a run: those it was tested on, or those that differ from another's."""

from sqlalchemy.orm import Session
from starlette.requests import Request

from studio.curate.asking import LARGEST_ID, whole
from studio.errors import ProjectError
from studio.language import _
from studio.retrain.runs import project_runs
from studio.retrain.runs.project_runs import RunSummary
from studio.web.retraining import comparing, inspecting


def tested_or_changed(session: Session, project_id: int, request: Request) -> list[int]:
    """Return the ids of the pictures that a request names by a run.

    It says `run` and any of `true`, `predicted` and `wrong`; or `run`, `since` and `changed`.
    Raises NotUnderstood and ProjectError.
    """
    asked = request.query_params
    run = run_of(session, project_id, whole(asked["run"], "run"))
    if "changed" in asked:
        earlier = run_of(session, project_id, whole(asked.get("since", ""), "since"))
        return comparing.changed(session, earlier.id, run.id, asked["changed"])
    true, predicted = asked.get("true", ""), asked.get("predicted", "")
    return inspecting.tested(session, run, true, predicted, wrong=asked.get("wrong") == "1")


def run_of(session: Session, project_id: int, run_id: int) -> RunSummary:
    """Return a run of this project with all its answers. Raises ProjectError where there is none."""
    if run_id <= LARGEST_ID:
        run = project_runs.run(session, run_id)
        if run.project_id == project_id:
            return run
    raise ProjectError(
        _("expected a run of this project; there is none with the number {id}.").format(id=run_id)
    )
