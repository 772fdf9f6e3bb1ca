"""What is behind a link: one page, the files that it needs, one model, and nothing else of the studio.

    GET  /share/{token}                → the page, with what it must know written into it
    GET  /share/{token}/model.tflite   → the model, for the visitor's browser
    GET  /share/{token}/examples/{sha256}.jpg   a few training images, where the owner shows them
    GET  /share/{token}/provenance         → the licences and authors of the images that it learnt from
    POST /share/{token}/answer         an image → {"probabilities": a number a label, "strangeness"}
    POST /share/{token}/wrong          a form: said, right, probabilities, and the image or not → 204
    GET  /share/files/{name}           → the page's scripts and its runtime, the same behind every link

It is an application of its own, so that no address under /share/ leads anywhere else. A token that is
unknown, expired or revoked, and whatever else stands there, gets one and the same 404. A fault is
{"error": a text for people}. `docs/decisions/0063-links.md` says why they are shaped so.
"""

import asyncio
import json
import re
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from math import ceil, isfinite
from pathlib import Path
from time import monotonic

from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from db.engine import Database
from studio.errors import ImageRefused, ModelUnreadable, StudioError
from studio.i18n import _
from studio.images.reasons import SkipReason
from studio.images.store import ImageStore
from studio.settings import Settings
from studio.share import links
from studio.share.examples import example_images, format_of
from studio.share.feedback import LinkFull, Said, mark
from studio.share.links import Shared
from studio.share.shared_models import SharedModel, SharedModels
from studio.web.http import PRIVATE, fault, from_elsewhere
from studio.web.middleware import Full, Queue, Rate, Room
from studio.web.share.page import SharedPage
from studio.web.state import now

MOST_BYTES = 16 << 20
"""As large may an image be: more than a telephone's camera makes of one."""
_SLOWEST_S = 30
"""So long may all of it take."""
_LENGTH = re.compile(r"[0-9]{1,15}")
_READ_ON_BYTES = 48 << 20
_SILENCE_S = 10
"""So long nothing may come."""


class NotTaken(StudioError):
    """What came is refused; `status` is how HTTP says so."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Sent:
    """A body in memory, and its share of the room, which is given back when the block ends.

    Raises NotTaken, and Full where there is no room for it.
    """

    def __init__(self, request: Request, room: Room, most_bytes: int = MOST_BYTES) -> None:
        self._request, self._room, self._most_bytes = request, room, most_bytes
        self._taken = 0

    async def __aenter__(self) -> bytes:
        """Read the body."""
        try:
            return await self._read()
        except BaseException:
            self._give_back()
            raise

    async def __aexit__(self, *_error: object) -> None:
        """Give its room back."""
        self._give_back()

    async def _read(self) -> bytes:
        try:
            async with asyncio.timeout(_SLOWEST_S):
                return await self._all()
        except TimeoutError as error:
            raise NotTaken(_("This took too long. Try again where the connection is better."), 408) from error
        except ClientDisconnect as error:
            raise NotTaken(_("The connection was cut."), 408) from error

    async def _all(self) -> bytes:
        announced = self._request.headers.get("content-length", "0")
        plausible = bool(_LENGTH.fullmatch(announced))
        too_large = not plausible or int(announced) > self._most_bytes
        # A browser that is cut off while it sends never hears the answer: what is too large is read on, and
        # forgotten, as far as that is bearable.
        bearable = plausible and int(announced) <= self._most_bytes + _READ_ON_BYTES
        if too_large and not bearable:
            raise _too_large(self._most_bytes)
        body = bytearray()
        count = 0
        stream = self._request.stream()
        while True:
            async with asyncio.timeout(_SILENCE_S):
                chunk = await anext(stream, None)
            if chunk is None:
                break
            count += len(chunk)
            too_large = too_large or count > self._most_bytes
            if too_large:
                self._give_back()
                body.clear()
            else:
                self._take(len(chunk))
                body += chunk
            if count > self._most_bytes + _READ_ON_BYTES:
                break
        if too_large:
            raise _too_large(self._most_bytes)
        return bytes(body)

    def _take(self, size_bytes: int) -> None:
        self._room.take(size_bytes)
        self._taken += size_bytes

    def _give_back(self) -> None:
        self._room.give_back(self._taken)
        self._taken = 0


def _too_large(most_bytes: int) -> NotTaken:
    return NotTaken(
        _("expected an image of at most {most} MB. Make it smaller first.").format(most=most_bytes >> 20),
        413,
    )


_LONGEST = 20_000
"""Letters of one field; the probabilities of a thousand classes take as many."""
_MOST_FIELDS = 6


async def read_mark(request: Request, body: bytes, labels: tuple[str, ...]) -> Said:
    """Return what a visitor says in a form that has come whole. labels: the model's. Raises NotTaken."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise _not_understood()
    whole = Request(request.scope, receive)
    try:
        async with whole.form(max_files=1, max_fields=_MOST_FIELDS, max_part_size=_LONGEST) as form:
            answered, meant, told = (form.get(name, "") for name in ("said", "right", "probabilities"))
            sent = form.get("image")
            image = None if sent is None or isinstance(sent, str) else await sent.read()
    except (HTTPException, KeyError, UnicodeDecodeError) as error:
        raise _not_understood() from error
    if not (isinstance(answered, str) and isinstance(meant, str) and isinstance(told, str)):
        raise _not_understood()
    if answered not in labels or meant not in {"", *labels}:
        raise _not_understood()
    return Said(answered, _score(told, labels, answered), meant, image or None)


def _score(told: str, labels: tuple[str, ...], answered: str) -> float:
    try:
        given = json.loads(told)
        scores = [float(each) for each in given] if isinstance(given, list) else []
    except (ValueError, TypeError, RecursionError) as error:
        raise _not_understood() from error
    if len(scores) != len(labels) or not all(isfinite(each) and 0 <= each <= 1 for each in scores):
        raise _not_understood()
    return scores[labels.index(answered)]


def _not_understood() -> NotTaken:
    return NotTaken(_("This was not understood. Reload the page and try again."), 400)


_LATER_S = 1.0


class Tally:
    """Counts by link; safe in threads."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database, self._clock = database, clock
        self._opened: Counter[int] = Counter()
        self._answered: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def opened(self, link_id: int) -> None:
        """Count that a link's page was opened."""
        self._add(self._opened, link_id)

    def answered(self, link_id: int) -> None:
        """Count that an image was answered."""
        self._add(self._answered, link_id)

    def write(self) -> None:
        """Write what was counted since the last time."""
        with self._lock:
            opened, answered = self._opened, self._answered
            self._opened, self._answered, self._timer = Counter(), Counter(), None
        if not opened and not answered:
            return
        try:
            with self._database.write() as session:
                for link_id in sorted({*opened, *answered}):
                    links.count(
                        session,
                        link_id,
                        self._clock(),
                        opened=opened[link_id],
                        answered=answered[link_id],
                    )
        except SQLAlchemyError:  # the database is busy: they are written with the next ones
            with self._lock:
                self._opened.update(opened)
                self._answered.update(answered)

    def _add(self, counts: Counter[int], link_id: int) -> None:
        with self._lock:
            counts[link_id] += 1
            if self._timer is None:
                self._timer = threading.Timer(_LATER_S, self.write)
                self._timer.daemon = True
                self._timer.start()


HEADERS = {**PRIVATE, "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}
_MODEL = {
    # Asked for anew each time, though not sent anew: a link that was revoked gives no model any more.
    "Cache-Control": "private, no-cache",
    "X-Content-Type-Options": "nosniff",
}
_EXAMPLE = {**_MODEL, "Content-Security-Policy": "default-src 'none'; sandbox"}
_ROOM_BYTES = 256 << 20
_ANSWERED_AT_ONCE = 2
_WAITING = 200
_LONGEST_WAIT_S = 20
_SLICE_BYTES = 1 << 16


class Visiting:
    """The answers to what may be asked of a link that is open; a link's model comes with each.

    They raise NotTaken, ImageRefused, LinkFull, and Full or TimeoutError where too many ask.
    """

    def __init__(self, settings: Settings, database: Database, page: SharedPage, tally: Tally) -> None:
        self._database, self._page, self._tally = database, page, tally
        self._store = ImageStore(settings.images_dir)
        self._room = Room(_ROOM_BYTES)
        self._answering, self._marking = Queue(_ANSWERED_AT_ONCE, _WAITING), Queue(1, _WAITING)

    async def show(self, request: Request, shared: Shared, model: SharedModel) -> Response:
        """Give the page."""
        if request.method == "GET":
            self._tally.opened(shared.link_id)
        return await run_in_threadpool(self._shown, shared, model, request.url.path)

    async def give(self, request: Request, _shared: Shared, model: SharedModel) -> Response:
        """Give the model, unless the browser has it."""
        headers = {**_MODEL, "ETag": model.etag}
        if request.headers.get("if-none-match") == model.etag:
            return Response(status_code=304, headers=headers)
        headers["Content-Length"] = str(len(model.demo.model))
        # In slices: what a slow visitor has not taken yet would be copied whole for each of them.
        slices = _slices(model.demo.model)
        return StreamingResponse(slices, media_type="application/octet-stream", headers=headers)

    async def example(self, request: Request, shared: Shared, model: SharedModel) -> Response | None:
        """Give one of the training images that the page shows."""
        path = await run_in_threadpool(self._thumbnail, shared, model, request.path_params["sha256"])
        return None if path is None else FileResponse(path, headers=_EXAMPLE)

    async def provenance(self, _request: Request, _shared: Shared, model: SharedModel) -> Response:
        """Give the credits whole; the page shows no more than their beginning where they are long."""
        return PlainTextResponse(model.demo.credits, headers=HEADERS)

    async def answer(self, request: Request, shared: Shared, model: SharedModel) -> Response:
        """Answer on an image, which is kept nowhere."""
        _expect_image(request)
        async with Sent(request, self._room) as image:
            if not image:
                raise NotTaken(_("expected an image; nothing came."), 400)
            async with asyncio.timeout(_LONGEST_WAIT_S), self._answering.turn():
                probabilities, strangeness = await run_in_threadpool(model.answer, image)
        self._tally.answered(shared.link_id)
        return JSONResponse({"probabilities": probabilities, "strangeness": strangeness}, headers=HEADERS)

    async def hear(self, request: Request, shared: Shared, model: SharedModel) -> Response:
        """Write down that an answer was wrong."""
        async with Sent(request, self._room) as body:
            said = await read_mark(request, body, model.demo.labels)
            async with asyncio.timeout(_LONGEST_WAIT_S), self._marking.turn():
                await run_in_threadpool(mark, self._database, self._store, shared, said, now())
        return Response(status_code=204, headers=HEADERS)

    def _shown(self, shared: Shared, model: SharedModel, address: str) -> Response:
        places = {
            label: tuple(f"{address}/examples/{sha256}.jpg" for sha256 in images)
            for label, images in self._examples(shared, model).items()
        }
        return self._page.document(shared, model.demo, address, places)

    def _examples(self, shared: Shared, model: SharedModel) -> Mapping[str, tuple[str, ...]]:
        if not shared.shows_examples:
            return {}
        with self._database.read() as session:
            return example_images(session, model.run_dir, model.demo.labels)

    def _thumbnail(self, shared: Shared, model: SharedModel, sha256: str) -> Path | None:
        if not any(sha256 in images for images in self._examples(shared, model).values()):
            return None
        with self._database.read() as session:
            kind = format_of(session, sha256)
        return None if kind is None else self._store.thumbnail(sha256, kind)


async def _slices(content: bytes) -> AsyncIterator[memoryview]:
    whole = memoryview(content)
    for at in range(0, len(content), _SLICE_BYTES):
        yield whole[at : at + _SLICE_BYTES]


def _expect_image(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not (kind.startswith("image/") or kind in {"", "application/octet-stream"}):
        raise NotTaken(_("expected an image; {kind} came.").format(kind=kind[:60]), 415)
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise NotTaken(_("expected an image as it is; it came packed."), 415)


SHARE = "/share"
_STATUS = {SkipReason.TOO_LARGE: 413, SkipReason.NOT_AN_IMAGE: 415}
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
            except (NotTaken, ImageRefused, LinkFull) as refusal:
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
            route("/papers", looks, visiting.provenance),
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
    return 409 if isinstance(refusal, LinkFull) else _STATUS.get(SkipReason(getattr(refusal, "why", "")), 422)


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
