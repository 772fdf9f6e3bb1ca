"""The web application behind share links: its routes, their limits, and the counters of each link.

    GET  /share/{token}                → the page, with its configuration inside
    GET  /share/{token}/model.tflite   → the model, for the visitor's browser
    GET  /share/{token}/examples/{sha256}.jpg   a training image, where the owner shows some
    GET  /share/{token}/papers         → the attribution of the training images
    POST /share/{token}/answer         an image → {"probabilities": a number a label, "strangeness"}
    POST /share/{token}/wrong          a form: said, right, probabilities, and the image or not → 204
    GET  /share/files/{name}           → the page's scripts and its runtime, the same for every link

It is a separate application, so that no URL under /share/ reaches the rest of the studio. An unknown,
expired or revoked token and any other path get the same 404. An error is {"error": a text for people}. The
reasons are in `docs/decisions/0063-share-links.md`.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from math import ceil
from pathlib import Path
from time import monotonic

from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from db.engine import Database
from studio.errors import ImageRefused, ModelUnreadable, StudioError
from studio.i18n import _
from studio.images.skip_reasons import SkipReason
from studio.images.store import ImageStore
from studio.settings import Settings
from studio.share import links
from studio.share.examples import example_images, image_format
from studio.share.feedback import FeedbackLimitReached, record_feedback
from studio.share.links import SharedRun
from studio.share.shared_models import SharedModel, SharedModelCache
from studio.web.http import NO_STORE, error_response, is_cross_site
from studio.web.middleware import ConcurrencyLimit, MemoryBudget, Overloaded, RateLimiter
from studio.web.share.request_body import RequestBody, RequestRefused, check_image_headers, parse_feedback
from studio.web.share.visitor_page import VisitorPage
from studio.web.state import now

SHARE = "/share"
_HEADERS = {**NO_STORE, "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}
_MODEL_HEADERS = {
    # Browsers ask each time, so that a revoked link serves no model, but download it only if it has changed.
    "Cache-Control": "private, no-cache",
    "X-Content-Type-Options": "nosniff",
}
_EXAMPLE_HEADERS = {**_MODEL_HEADERS, "Content-Security-Policy": "default-src 'none'; sandbox"}
_STATUS_BY_REASON = {SkipReason.TOO_LARGE: 413, SkipReason.NOT_AN_IMAGE: 415}
_MEMORY_BYTES = 256 << 20
_CONCURRENT_PREDICTIONS = 2
_MAX_WAITING = 200
_MAX_WAIT_S = 20
_RETRY_AFTER_S = 2
_CHUNK_BYTES = 1 << 16
_WRITE_DELAY_S = 1.0

_Endpoint = Callable[[Request, SharedRun, SharedModel], Awaitable[Response | None]]


# Routes


class ShareMiddleware:
    """ASGI middleware, before authentication: hand requests under /share/ to the sharing application."""

    def __init__(self, app: ASGIApp, sharing: ASGIApp) -> None:
        self._app, self._sharing = app, sharing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Choose the application by the path."""
        if scope["type"] not in {"http", "websocket"} or not scope["path"].startswith(f"{SHARE}/"):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4404})
        else:
            await self._sharing(scope, receive, send)


def share_app(
    settings: Settings, database: Database, counters: "LinkCounters", clock: Callable[[], float] = monotonic
) -> Starlette:
    """Return the sharing application of a data folder.

    counters: write them once more when the server stops. clock: seconds, for the rate limits.
    """
    models = SharedModelCache(settings.runs_dir)
    page = VisitorPage(settings.downloads_dir)
    endpoints = LinkEndpoints(settings, database, page, counters)
    # By IP address: a class of thirty behind a school's router is one visitor here.
    view_rate = RateLimiter(200, 20, clock)
    predict_rate = RateLimiter(100, 10, clock)
    feedback_rate = RateLimiter(30, 0.5, clock)

    def open_link(token: str) -> tuple[SharedRun, SharedModel] | None:
        with database.read() as session:
            shared = links.resolve_token(session, token, now())
        try:
            return None if shared is None else (shared, models.get(shared.folder))
        except (ModelUnreadable, OSError):
            return None  # the run's folder is missing or damaged, which is not the visitor's business

    def route(path: str, rate: RateLimiter, endpoint: _Endpoint, method: str = "GET") -> Route:
        async def guarded(request: Request) -> Response:
            wait_s = rate.wait_s(request.client.host if request.client else "")
            if wait_s:
                return _retry_later(_("Too many requests. Wait a moment, then try again."), 429, wait_s)
            opened = await run_in_threadpool(open_link, request.path_params["token"])
            if opened is None:
                return _not_found()
            if method == "POST" and is_cross_site(request):
                return error_response(_("Only the page behind the link may send this."), 403)
            try:
                return await endpoint(request, *opened) or _not_found()
            except (RequestRefused, ImageRefused, FeedbackLimitReached) as refusal:
                return error_response(str(refusal), _status(refusal))
            except (Overloaded, TimeoutError):
                message = _("Too many visitors at the moment. Try again.")
                return _retry_later(message, 503, _RETRY_AFTER_S)

        return Route(f"{SHARE}/{{token}}{path}", guarded, methods=[method])

    def file(request: Request) -> Response:
        gzipped = "gzip" in request.headers.get("accept-encoding", "")
        return page.file(request.path_params["name"], gzipped=gzipped) or _not_found()

    async def not_found(_request: Request, _error: Exception) -> Response:
        return _not_found()

    app = Starlette(
        routes=[
            Route(f"{SHARE}/files/{{name:path}}", file),
            route("", view_rate, endpoints.page),
            route("/model.tflite", view_rate, endpoints.model),
            route("/examples/{sha256}.jpg", view_rate, endpoints.example),
            route("/papers", view_rate, endpoints.attribution),
            route("/answer", predict_rate, endpoints.predict, "POST"),
            route("/wrong", feedback_rate, endpoints.feedback, "POST"),
        ],
        exception_handlers={404: not_found, 405: not_found},
    )
    app.router.redirect_slashes = False
    return app


def _status(refusal: StudioError) -> int:
    if isinstance(refusal, RequestRefused):
        return refusal.status
    if isinstance(refusal, FeedbackLimitReached):
        return 409
    return _STATUS_BY_REASON.get(SkipReason(getattr(refusal, "skip_reason", "")), 422)


def _retry_later(message: str, status: int, wait_s: float) -> Response:
    response = error_response(message, status)
    response.headers["Retry-After"] = str(ceil(wait_s))
    return response


def _not_found() -> Response:
    return HTMLResponse(
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_('Nothing here')}</title>"
        "<style>:root{color-scheme:light dark}"
        "body{font:1rem system-ui;max-width:24rem;margin:20vh auto;padding:1rem}</style>"
        f"<h1>{_('Nothing here')}</h1>"
        f"<p>{_('This link does not exist or is no longer open. Ask the person who sent it.')}</p></html>",
        404,
        headers={**_HEADERS, "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"},
    )


# Endpoints


class LinkEndpoints:
    """Endpoints of an open link, each given the link's run and model.

    They raise RequestRefused, ImageRefused, FeedbackLimitReached, and Overloaded or TimeoutError if there are
    too many requests.
    """

    def __init__(
        self, settings: Settings, database: Database, page: VisitorPage, counters: "LinkCounters"
    ) -> None:
        self._database, self._page, self._counters = database, page, counters
        self._store = ImageStore(settings.images_dir)
        self._memory = MemoryBudget(_MEMORY_BYTES)
        self._predictions = ConcurrencyLimit(_CONCURRENT_PREDICTIONS, _MAX_WAITING)
        self._feedback = ConcurrencyLimit(1, _MAX_WAITING)

    async def page(self, request: Request, shared: SharedRun, model: SharedModel) -> Response:
        """Return the page, and count the view."""
        if request.method == "GET":
            self._counters.add_page_view(shared.link_id)
        return await run_in_threadpool(self._render, shared, model, request.url.path)

    async def model(self, request: Request, _shared: SharedRun, model: SharedModel) -> Response:
        """Return the model file, or 304 if the browser has it."""
        headers = {**_MODEL_HEADERS, "ETag": model.etag}
        if request.headers.get("if-none-match") == model.etag:
            return Response(status_code=304, headers=headers)
        headers["Content-Length"] = str(len(model.demo.model))
        # In chunks: otherwise the server would buffer a whole copy for every slow visitor.
        chunks = _chunks(model.demo.model)
        return StreamingResponse(chunks, media_type="application/octet-stream", headers=headers)

    async def example(self, request: Request, shared: SharedRun, model: SharedModel) -> Response | None:
        """Return the thumbnail of a training image that the page shows; None for any other image."""
        path = await run_in_threadpool(self._thumbnail, shared, model, request.path_params["sha256"])
        return None if path is None else FileResponse(path, headers=_EXAMPLE_HEADERS)

    async def attribution(self, _request: Request, _shared: SharedRun, model: SharedModel) -> Response:
        """Return the whole attribution, of which the page shows only the beginning if it is long."""
        return PlainTextResponse(model.demo.credits, headers=_HEADERS)

    async def predict(self, request: Request, shared: SharedRun, model: SharedModel) -> Response:
        """Classify an image, which is not stored."""
        check_image_headers(request)
        async with RequestBody(request, self._memory) as image:
            if not image:
                raise RequestRefused(_("expected an image; the request is empty."), 400)
            async with asyncio.timeout(_MAX_WAIT_S), self._predictions.slot():
                probabilities, ood_score = await run_in_threadpool(model.predict, image)
        self._counters.add_prediction(shared.link_id)
        return JSONResponse({"probabilities": probabilities, "strangeness": ood_score}, headers=_HEADERS)

    async def feedback(self, request: Request, shared: SharedRun, model: SharedModel) -> Response:
        """Store a visitor's feedback."""
        async with RequestBody(request, self._memory) as body:
            feedback = await parse_feedback(request, body, model.demo.labels)
            async with asyncio.timeout(_MAX_WAIT_S), self._feedback.slot():
                await run_in_threadpool(record_feedback, self._database, self._store, shared, feedback, now())
        return Response(status_code=204, headers=_HEADERS)

    def _render(self, shared: SharedRun, model: SharedModel, url: str) -> Response:
        example_urls = {
            label: tuple(f"{url}/examples/{sha256}.jpg" for sha256 in images)
            for label, images in self._examples(shared, model).items()
        }
        return self._page.document(shared, model.demo, url, example_urls)

    def _examples(self, shared: SharedRun, model: SharedModel) -> Mapping[str, tuple[str, ...]]:
        if not shared.shows_examples:
            return {}
        with self._database.read() as session:
            return example_images(session, model.run_dir, model.demo.labels)

    def _thumbnail(self, shared: SharedRun, model: SharedModel, sha256: str) -> Path | None:
        if not any(sha256 in images for images in self._examples(shared, model).values()):
            return None
        with self._database.read() as session:
            format_ = image_format(session, sha256)
        return None if format_ is None else self._store.thumbnail(sha256, format_)


async def _chunks(content: bytes) -> AsyncIterator[memoryview]:
    view = memoryview(content)
    for start in range(0, len(content), _CHUNK_BYTES):
        yield view[start : start + _CHUNK_BYTES]


# Counters


class LinkCounters:
    """Page views and server predictions of each link, written to the database a second later; thread-safe."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database, self._clock = database, clock
        self._page_views: Counter[int] = Counter()
        self._predictions: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def add_page_view(self, link_id: int) -> None:
        """Count a view of a link's page."""
        self._add(self._page_views, link_id)

    def add_prediction(self, link_id: int) -> None:
        """Count an image that the server has classified."""
        self._add(self._predictions, link_id)

    def write(self) -> None:
        """Write the counts since the last write."""
        with self._lock:
            page_views, predictions = self._page_views, self._predictions
            self._page_views, self._predictions, self._timer = Counter(), Counter(), None
        if not page_views and not predictions:
            return
        try:
            with self._database.write() as session:
                for link_id in sorted({*page_views, *predictions}):
                    links.add_counts(
                        session,
                        link_id,
                        self._clock(),
                        page_views=page_views[link_id],
                        server_predictions=predictions[link_id],
                    )
        except SQLAlchemyError:  # the database is busy: write them with the next ones
            with self._lock:
                self._page_views.update(page_views)
                self._predictions.update(predictions)

    def _add(self, counts: Counter[int], link_id: int) -> None:
        with self._lock:
            counts[link_id] += 1
            if self._timer is None:
                self._timer = threading.Timer(_WRITE_DELAY_S, self.write)
                self._timer.daemon = True
                self._timer.start()
