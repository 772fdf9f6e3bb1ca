"""What a visitor of an open link is given: the page, the model, examples, answers, and a hearing."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse

from db.engine import Database
from studio.collect.store import PictureStore
from studio.language import _
from studio.settings import Settings
from studio.share.examples import example_pictures, format_of
from studio.share.links import Shared
from studio.share.marks import mark
from studio.share.shared_models import SharedModel
from studio.web.answers import PRIVATE
from studio.web.limits import Queue, Room
from studio.web.sharing.mark_form import read_mark
from studio.web.sharing.page import SharedPage
from studio.web.sharing.sent import NotTaken, Sent
from studio.web.sharing.tally import Tally
from studio.web.state import now

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

    They raise NotTaken, PictureRefused, LinkFull, and Full or TimeoutError where too many ask.
    """

    def __init__(self, settings: Settings, database: Database, page: SharedPage, tally: Tally) -> None:
        self._database, self._page, self._tally = database, page, tally
        self._store = PictureStore(settings.pictures_dir)
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
        """Give one of the training pictures that the page shows."""
        path = await run_in_threadpool(self._thumbnail, shared, model, request.path_params["sha256"])
        return None if path is None else FileResponse(path, headers=_EXAMPLE)

    async def papers(self, _request: Request, _shared: Shared, model: SharedModel) -> Response:
        """Give the credits whole; the page shows no more than their beginning where they are long."""
        return PlainTextResponse(model.demo.credits, headers=HEADERS)

    async def answer(self, request: Request, shared: Shared, model: SharedModel) -> Response:
        """Answer on a picture, which is kept nowhere."""
        _expect_picture(request)
        async with Sent(request, self._room) as picture:
            if not picture:
                raise NotTaken(_("expected a picture; nothing came."), 400)
            async with asyncio.timeout(_LONGEST_WAIT_S), self._answering.turn():
                probabilities, strangeness = await run_in_threadpool(model.answer, picture)
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
            label: tuple(f"{address}/examples/{sha256}.jpg" for sha256 in pictures)
            for label, pictures in self._examples(shared, model).items()
        }
        return self._page.document(shared, model.demo, address, places)

    def _examples(self, shared: Shared, model: SharedModel) -> Mapping[str, tuple[str, ...]]:
        if not shared.shows_examples:
            return {}
        with self._database.read() as session:
            return example_pictures(session, model.run_dir, model.demo.labels)

    def _thumbnail(self, shared: Shared, model: SharedModel, sha256: str) -> Path | None:
        if not any(sha256 in pictures for pictures in self._examples(shared, model).values()):
            return None
        with self._database.read() as session:
            kind = format_of(session, sha256)
        return None if kind is None else self._store.thumbnail(sha256, kind)


async def _slices(content: bytes) -> AsyncIterator[memoryview]:
    whole = memoryview(content)
    for at in range(0, len(content), _SLICE_BYTES):
        yield whole[at : at + _SLICE_BYTES]


def _expect_picture(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not (kind.startswith("image/") or kind in {"", "application/octet-stream"}):
        raise NotTaken(_("expected a picture; {kind} came.").format(kind=kind[:60]), 415)
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise NotTaken(_("expected a picture as it is; it came packed."), 415)
