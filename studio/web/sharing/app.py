"""What is behind a link: one page, the files that it needs, one model, and nothing else of the studio.

    GET  /share/{token}                → the page, with what it must know written into it
    GET  /share/{token}/model.tflite   → the model, for the visitor's browser
    GET  /share/{token}/examples/{sha256}.jpg   a few training pictures, where the owner shows them
    GET  /share/{token}/papers         → the licences and authors of the pictures that it learnt from
    POST /share/{token}/answer         a picture → {"probabilities": a number a label, "strangeness"}
    POST /share/{token}/wrong          a form: said, right, probabilities, and the picture or not → 204
    GET  /share/files/{name}           → the page's scripts and its runtime, the same behind every link

It is an application of its own, so that no address under /share/ leads anywhere else. A token that is
unknown, expired or revoked, and whatever else stands there, gets one and the same 404. A fault is
{"error": a text for people}. `docs/decisions/0063-links.md` says why they are shaped so.
"""

from collections.abc import Awaitable, Callable
from math import ceil
from time import monotonic

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from db.engine import Database
from studio.collect.why import Why
from studio.errors import ModelUnreadable, PictureRefused, StudioError
from studio.language import _
from studio.settings import Settings
from studio.share import links
from studio.share.links import Shared
from studio.share.marks import LinkFull
from studio.share.shared_models import SharedModel, SharedModels
from studio.web.answers import fault
from studio.web.limits import Full, Rate
from studio.web.own_pages import from_elsewhere
from studio.web.sharing.page import SharedPage
from studio.web.sharing.sent import NotTaken
from studio.web.sharing.tally import Tally
from studio.web.sharing.visiting import HEADERS, Visiting
from studio.web.state import now

SHARE = "/share"
_STATUS = {Why.TOO_LARGE: 413, Why.NOT_A_PICTURE: 415}

_Answer = Callable[[Request, Shared, SharedModel], Awaitable[Response | None]]


class Apart:
    """ASGI middleware, before the gate: what is under /share/ is answered apart from all else."""

    def __init__(self, app: ASGIApp, sharing: ASGIApp) -> None:
        self._app, self._sharing = app, sharing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand over."""
        if scope["type"] not in {"http", "websocket"} or not scope["path"].startswith(f"{SHARE}/"):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4404})
        else:
            await self._sharing(scope, receive, send)


def sharing_app(
    settings: Settings, database: Database, tally: Tally, clock: Callable[[], float] = monotonic
) -> Starlette:
    """Return the application over one data folder.

    tally: what counts, for whoever writes the last of it. clock: seconds, by which too much is too often.
    """
    models = SharedModels(settings.runs_dir)
    page = SharedPage(settings.downloads_dir)
    visiting = Visiting(settings, database, page, tally)
    # A class of thirty is one visitor here: behind a school's or an office's router all have one address.
    looks, questions, remarks = Rate(200, 20, clock), Rate(100, 10, clock), Rate(30, 0.5, clock)

    def opened(token: str) -> tuple[Shared, SharedModel] | None:
        with database.read() as session:
            shared = links.opened_by(session, token, now())
        try:
            return None if shared is None else (shared, models.of(shared.folder))
        except (ModelUnreadable, OSError):
            return None  # the run's folder is gone or damaged: that is for its owner to know

    def route(what: str, rate: Rate, answer: _Answer, method: str = "GET") -> Route:
        async def guarded(request: Request) -> Response:
            wait_s = rate.wait_s(request.client.host if request.client else "")
            if wait_s:
                return _later(_("This is asked too often. Wait a moment."), 429, wait_s)
            found = await run_in_threadpool(opened, request.path_params["token"])
            if found is None:
                return _nothing()
            if method == "POST" and from_elsewhere(request):
                return fault(_("Only the page behind the link may ask this."), 403)
            try:
                return await answer(request, *found) or _nothing()
            except (NotTaken, PictureRefused, LinkFull) as refusal:
                return fault(str(refusal), _status(refusal))
            except (Full, TimeoutError):
                return _later(_("Too many ask at the moment. Try again."), 503, 2)

        return Route(f"{SHARE}/{{token}}{what}", guarded, methods=[method])

    def file(request: Request) -> Response:
        gzipped = "gzip" in request.headers.get("accept-encoding", "")
        return page.file(request.path_params["name"], gzipped=gzipped) or _nothing()

    async def nothing(_request: Request, _error: Exception) -> Response:
        return _nothing()

    app = Starlette(
        routes=[
            Route(f"{SHARE}/files/{{name:path}}", file),
            route("", looks, visiting.show),
            route("/model.tflite", looks, visiting.give),
            route("/examples/{sha256}.jpg", looks, visiting.example),
            route("/papers", looks, visiting.papers),
            route("/answer", questions, visiting.answer, "POST"),
            route("/wrong", remarks, visiting.hear, "POST"),
        ],
        exception_handlers={404: nothing, 405: nothing},
    )
    app.router.redirect_slashes = False
    return app


def _status(refusal: StudioError) -> int:
    if isinstance(refusal, NotTaken):
        return refusal.status
    return 409 if isinstance(refusal, LinkFull) else _STATUS.get(Why(getattr(refusal, "why", "")), 422)


def _later(message: str, status: int, wait_s: float) -> Response:
    answer = fault(message, status)
    answer.headers["Retry-After"] = str(ceil(wait_s))
    return answer


def _nothing() -> Response:
    return HTMLResponse(
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_('Nothing here')}</title>"
        "<style>:root{color-scheme:light dark}"
        "body{font:1rem system-ui;max-width:24rem;margin:20vh auto;padding:1rem}</style>"
        f"<h1>{_('Nothing here')}</h1>"
        f"<p>{_('This link does not exist, or it is not open any more. Ask whoever sent it.')}</p></html>",
        404,
        headers={**HEADERS, "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"},
    )
