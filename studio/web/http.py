"""Parts that all HTTP routes share: JSON responses, error statuses, the CSRF guard, bounded request bodies.

A route of a project is made by `project_get` or `project_post`. Its handler raises errors for people, and
`answer_errors` turns them into {"error": message} with a status.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec
from urllib.parse import urlsplit

from pydantic import ValidationError
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from db.engine import Database
from db.models import ProjectRow
from studio.curate.params import LARGEST_ID, InvalidRequest
from studio.errors import ProjectError, StudioError
from studio.i18n import _

NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""Headers of an answer that no cache may keep."""
_SILENCE_S = 30
"""A request of which nothing arrives for so long is given up."""

Statuses = Mapping[type[Exception], int]
"""HTTP status by the type of an error; the closest base class counts."""
_P = ParamSpec("_P")


class ProjectMissing(ProjectError):
    """The project that a request names does not exist."""

    def __init__(self) -> None:
        super().__init__(_("There is no such project. It may have been deleted; choose another."))


_STATUSES: Statuses = {ProjectMissing: 404, InvalidRequest: 400, ProjectError: 404, StudioError: 409}


def json_response(content: Mapping[str, Any]) -> Response:
    """Return a JSON answer that no cache keeps."""
    return JSONResponse(content, headers=NO_STORE)


def error_response(message: str, status: int) -> Response:
    """Return {"error": message}. message: for people."""
    return JSONResponse({"error": message}, status, headers=NO_STORE)


def validation_message(error: ValidationError) -> str:
    """Return the first error of a request's JSON as one line for people."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return _("The request is not valid ({reason}). Reload the page and try again.").format(
        reason=f"{where}: {first['msg']}" if where else first["msg"]
    )


def answer_errors(
    handler: Callable[_P, Response], statuses: Statuses | None = None
) -> Callable[_P, Response]:
    """Wrap a handler so that errors for people become JSON responses.

    statuses: overrides of the defaults: 400 for an invalid request, 404 for ProjectError, 409 for any other
    StudioError.
    """
    table = {**_STATUSES, **(statuses or {})}

    @wraps(handler)
    def answer(*args: _P.args, **kwargs: _P.kwargs) -> Response:
        try:
            return handler(*args, **kwargs)
        except ValidationError as error:
            return error_response(validation_message(error), 400)
        except StudioError as error:
            status = next(table[each] for each in type(error).__mro__ if each in table)
            return error_response(str(error), status)

    return answer


def project_id_of(session: Session, request: Request) -> int:
    """Return the id of the project that a route's path names as `project`. Raises ProjectMissing."""
    project_id: int = request.path_params["project"]
    if project_id > LARGEST_ID or session.get(ProjectRow, project_id) is None:
        raise ProjectMissing
    return project_id


def project_get(path: str, database: Database, handler: Callable[[Session, int, Request], Response]) -> Route:
    """Return a GET route. handler: takes a read transaction, the project's id and the request.

    path: with `{project:int}`.
    """

    # Not a coroutine: Starlette runs it in a thread, so that a slow query does not delay other requests.
    def get(request: Request) -> Response:
        with database.read() as session:
            return handler(session, project_id_of(session, request), request)

    return Route(path, answer_errors(get), methods=["GET"])


def project_post(
    path: str,
    header: str,
    max_bytes: int,
    handler: Callable[[Request, bytes], Response],
    *,
    statuses: Statuses | None = None,
) -> Route:
    """Return a POST route for the studio's own pages. handler: takes the request and its body, in a thread.

    header, max_bytes: as `read_own_page_body` has them; statuses: as `answer_errors` has them.
    """
    guarded = answer_errors(handler, statuses)

    async def post(request: Request) -> Response:
        body = await read_own_page_body(request, header, max_bytes)
        if isinstance(body, Response):
            return body
        return await run_in_threadpool(guarded, request, body)

    return Route(path, post, methods=["POST"])


def is_own_page(request: Request, header: str) -> bool:
    """Return whether a request comes from one of the studio's own pages: the CSRF guard.

    header: a custom header, which a page of another origin cannot send without a CORS preflight; none is ever
    allowed. Sec-Fetch-Site and Origin are checked as well where the browser sends them.
    """
    return header in request.headers and not is_cross_site(request)


def is_cross_site(request: Request) -> bool:
    """Return whether a browser says that a page of another origin sends the request."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site != "same-origin"
    origin = request.headers.get("origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc != request.headers.get("host")
    except ValueError:
        return True


def cross_site_response() -> Response:
    """Return the answer to a request that does not come from one of the studio's own pages."""
    return error_response(_("Only the studio's own pages can make this request."), 403)


async def read_own_page_body(request: Request, header: str, max_bytes: int) -> bytes | Response:
    """Return the body of a request from one of the studio's own pages, or the answer to any other request.

    403 for another origin, 413 for more than `max_bytes`, 408 for a body that stops for 30 s. header: as
    `is_own_page` has it.
    """
    if not is_own_page(request, header):
        return cross_site_response()
    body = bytearray()
    stream = request.stream()
    try:
        while True:
            async with asyncio.timeout(_SILENCE_S):
                chunk = await anext(stream, None)
            if chunk is None:
                return bytes(body)
            body += chunk
            if len(body) > max_bytes:
                return error_response(_("This request is too large. Send it in several steps."), 413)
    except (ClientDisconnect, TimeoutError):
        return Response(status_code=408)
