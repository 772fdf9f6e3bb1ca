"""The route that predicts images of the live camera.

    POST /studio/projects/{id}/runs/{run}/answer, an image file
        → {"predictions": [{"label", "score"}], "doubt"}

"doubt" is the stored name of the abstention's reason, or null. While as many requests as allowed are being
answered, the response is 503 with Retry-After. The image is not kept. Errors are {"error": message}.
"""

import asyncio
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from db.engine import Database
from studio.curate.params import LARGEST_ID
from studio.errors import ImageRefused, ModelUnreadable, ProjectError
from studio.i18n import _
from studio.retrain.confidence import STORED_REASONS
from studio.retrain.runs import run_records
from studio.settings import Settings
from studio.web.http import answer_errors, error_response, json_response, read_own_page_body
from studio.web.predict.models import open_model

_HEADER = "x-studio-predict"
_MAX_BODY_BYTES = 4_000_000
_MAX_CONCURRENT = 4
_SHOWN_CLASSES = 5
_STATUSES = {ImageRefused: 400, ModelUnreadable: 404}


def predict_routes(settings: Settings, database: Database) -> list[BaseRoute]:
    """Return the route over one data folder."""
    slots = asyncio.Semaphore(_MAX_CONCURRENT)

    async def answer(request: Request) -> Response:
        if slots.locked():
            busy = error_response(_("The studio is busy with other requests. Trying again."), 503)
            busy.headers["Retry-After"] = "1"
            return busy
        async with slots:
            body = await read_own_page_body(request, _HEADER, _MAX_BODY_BYTES)
            if isinstance(body, Response):
                return body
            return await run_in_threadpool(answer_errors(predict, _STATUSES), request, body)

    def predict(request: Request, body: bytes) -> Response:
        prediction = open_model(run_dir(request)).predict_file(body, _("camera image"))
        reason = prediction.abstention
        return json_response(
            {
                "predictions": [
                    {"label": each.label, "score": each.score} for each in prediction.scores[:_SHOWN_CLASSES]
                ],
                "doubt": None if reason is None else STORED_REASONS[reason],
            }
        )

    def run_dir(request: Request) -> Path:
        project_id, run_id = request.path_params["project"], request.path_params["run"]
        missing = ProjectError(_("There is no such model. It may have been deleted; reload the page."))
        if max(project_id, run_id) > LARGEST_ID:
            raise missing
        with database.read() as session:
            run = run_records.get_run(session, run_id)
        if run.project_id != project_id or run.evaluation is None:
            raise missing
        return settings.runs_dir / run.folder

    return [Route("/studio/projects/{project:int}/runs/{run:int}/answer", answer, methods=["POST"])]
