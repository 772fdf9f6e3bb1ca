"""The route that answers the live camera.

    POST /studio/projects/{id}/runs/{run}/answer, an image's file
        → {"predictions": [{"label", "score"}], "doubt"}

Only our own pages may ask, in short requests; who comes while as many as may are being answered is told to
come again (503). Nothing of the image is kept. A fault is {"error": a text for people}.
"""

import asyncio
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from db.engine import Database
from studio.curate.params import LARGEST_ID
from studio.errors import ImageRefused, ModelUnreadable, ProjectError
from studio.i18n import _
from studio.retrain.runs import run_records
from studio.settings import Settings
from studio.web.http import PRIVATE, body_from_own_page, fault
from studio.web.predict.models import open_model

_HEADER = "x-studio-predict"
_BODY_BYTES = 4_000_000
_AT_ONCE = 4
_SHOWN = 5


def predicting_routes(settings: Settings, database: Database) -> list[BaseRoute]:
    """Return the route over one data folder."""
    free = asyncio.Semaphore(_AT_ONCE)

    async def answer(request: Request) -> Response:
        if free.locked():
            busy = fault(_("The studio answers others at the moment. Trying again."), 503)
            busy.headers["Retry-After"] = "1"
            return busy
        async with free:
            refusal = _("Only the studio's own pages may ask a model.")
            body = await body_from_own_page(request, _HEADER, _BODY_BYTES, refusal=refusal)
            if isinstance(body, Response):
                return body
            return await run_in_threadpool(answered, request, body)

    def answered(request: Request, body: bytes) -> Response:
        try:
            found = open_model(_run_dir(request)).answer_file(body, _("The camera's image"))
        except ImageRefused as error:
            return fault(str(error), 400)
        except (ProjectError, ModelUnreadable) as error:
            return fault(str(error), 404)
        said = {
            "predictions": [
                {"label": each.label, "score": each.score} for each in found.predictions[:_SHOWN]
            ],
            "doubt": found.doubt,
        }
        return JSONResponse(said, headers=PRIVATE)

    def _run_dir(request: Request) -> Path:
        project_id, run_id = request.path_params["project"], request.path_params["run"]
        missing = ProjectError(_("There is no such model. It may have been deleted; reload the page."))
        if max(project_id, run_id) > LARGEST_ID:
            raise missing
        with database.read() as session:
            run = run_records.run(session, run_id)
        if run.project_id != project_id or run.evaluation is None:
            raise missing
        return settings.runs_dir / run.folder

    return [Route("/studio/projects/{project:int}/runs/{run:int}/answer", answer, methods=["POST"])]
