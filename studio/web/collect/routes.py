"""The routes through which a browser sends files: in parts, as often as it must, and never into memory.

    HEAD   /studio/uploads/{batch}/{bundle}              → Upload-Offset: how many bytes are here
    PUT    /studio/uploads/{batch}/{bundle}?at=…&size=…  → Upload-Offset; 409 where `at` is not the end
    POST   /studio/uploads/{batch}/finish                → {"job": id}; 409 {"incomplete": [bundles]}
    DELETE /studio/uploads/{batch}                       → what has arrived is forgotten

`docs/decisions/0036-uploads-that-stream.md` says why they are shaped so.
"""

import asyncio
import errno
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Literal

from pydantic import BaseModel, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from db.engine import Database
from studio.collect import tasks
from studio.errors import ProjectError
from studio.i18n import _
from studio.settings import Settings
from studio.web.collect.uploads import Batch, Elsewhere, Incomplete, Sent, UploadRefused, disk_full
from studio.web.http import from_own_page
from studio.web.state import now

UPLOADS = "/studio/uploads"
_HEADER = "x-studio-upload"
_DIGITS = re.compile(r"[0-9]{1,15}")
_BLOCK_BYTES = 1 << 20
_LIST_BYTES = 64 << 20
_READ_ON_BYTES = 64 << 20
_SILENCE_S = 30
"""A sender that says nothing for so long is gone; it would only hold up the server's end."""

_Body = AsyncIterator[bytes]
_Answer = Callable[[Request, Batch, _Body], Awaitable[Response]]


class _File(BaseModel):
    bundle: int = Field(ge=0, le=999_999)
    name: str = Field(max_length=4096)
    size: int = Field(ge=0)


class _Finish(BaseModel):
    project: int = Field(ge=1, le=2**31 - 1)
    class_name: str | None = Field(default=None, max_length=1000)
    kind: Literal["upload", "camera"] = "upload"
    files: list[_File] = Field(min_length=1)


def upload_routes(settings: Settings, database: Database) -> list[BaseRoute]:
    """Return the routes that receive files for a data folder."""

    async def have(request: Request, batch: Batch, _body: _Body) -> Response:
        return _have(await run_in_threadpool(batch.have, request.path_params["bundle"]))

    async def receive(request: Request, batch: Batch, body: _Body) -> Response:
        bundle = request.path_params["bundle"]
        at, size = (_whole(request.query_params.get(name, "")) for name in ("at", "size"))
        block = bytearray()
        try:
            async for chunk in body:
                block += chunk
                if len(block) >= _BLOCK_BYTES:
                    at = await run_in_threadpool(batch.append, bundle, block, at, size)
                    block = bytearray()
        except (ClientDisconnect, TimeoutError):
            # What has come is kept, so that the sender goes on from there.
            await run_in_threadpool(batch.append, bundle, block, at, size)
            return Response(status_code=HTTPStatus.REQUEST_TIMEOUT)
        return _have(await run_in_threadpool(batch.append, bundle, block, at, size))

    async def finish(_request: Request, batch: Batch, body: _Body) -> Response:
        listed = bytearray()
        async for chunk in body:
            listed += chunk
            if len(listed) > _LIST_BYTES:
                raise UploadRefused(
                    _("These are too many files for one upload. Send them as an archive."),
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                )
        return JSONResponse({"job": await run_in_threadpool(enqueue, batch, bytes(listed))})

    def enqueue(batch: Batch, listed: bytes) -> int:
        job_id = tasks.uploads_job(database, batch.id)
        if job_id is not None:
            return job_id  # asked for before; the job may have cleared the files away by now
        try:
            asked = _Finish.model_validate_json(listed)
        except ValidationError as error:
            raise _not_understood() from error
        folder = batch.finish([Sent(file.bundle, file.name, file.size) for file in asked.files])
        return tasks.ingest_uploads(database, asked.project, folder, asked.class_name, now(), kind=asked.kind)

    async def drop(_request: Request, batch: Batch, _body: _Body) -> Response:
        await run_in_threadpool(batch.drop)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def answering(answer: _Answer) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            if not from_own_page(request, _HEADER):
                return _refused(_("Files are taken from the studio's own pages only."), HTTPStatus.FORBIDDEN)
            body = _chunks(request)
            try:
                return await answer(request, Batch(settings.uploads_dir, request.path_params["batch"]), body)
            except Elsewhere as elsewhere:
                response: Response = _have(elsewhere.have, HTTPStatus.CONFLICT)
            except Incomplete as incomplete:
                return JSONResponse({"incomplete": incomplete.numbers}, HTTPStatus.CONFLICT)
            except UploadRefused as refusal:
                response = _refused(str(refusal), refusal.status)
            except ProjectError as error:
                return _refused(str(error), HTTPStatus.NOT_FOUND)
            except (ClientDisconnect, TimeoutError):
                return Response(status_code=HTTPStatus.REQUEST_TIMEOUT)
            except OSError as error:
                response = _unwritten(error)
            await _read_on(body)
            return response

        return guarded

    return [
        Route(f"{UPLOADS}/{{batch}}/finish", answering(finish), methods=["POST"]),
        Route(f"{UPLOADS}/{{batch}}/{{bundle}}", answering(have), methods=["HEAD"]),
        Route(f"{UPLOADS}/{{batch}}/{{bundle}}", answering(receive), methods=["PUT"]),
        Route(f"{UPLOADS}/{{batch}}", answering(drop), methods=["DELETE"]),
    ]


async def _chunks(request: Request) -> _Body:
    stream = request.stream()
    while True:
        async with asyncio.timeout(_SILENCE_S):
            chunk = await anext(stream, None)
        if chunk is None:
            return
        yield chunk


async def _read_on(body: _Body) -> None:
    """Read away what still comes: a browser that is cut off while it sends never hears the answer."""
    left = _READ_ON_BYTES
    with suppress(ClientDisconnect, TimeoutError):
        async for chunk in body:
            left -= len(chunk)
            if left < 0:
                return


def _have(count: int, status: HTTPStatus = HTTPStatus.NO_CONTENT) -> Response:
    # Without a body: that would be a second packet, and wait 40 ms for the first to be acknowledged, since
    # asyncio does not turn that off (TCP_NODELAY) on sockets that were opened as the server's is.
    return Response(status_code=status, headers={"Upload-Offset": str(count)})


def _refused(message: str, status: HTTPStatus) -> Response:
    return JSONResponse({"error": message}, status)


def _unwritten(error: OSError) -> Response:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        full = disk_full()
        return _refused(str(full), full.status)
    why = error.strerror or error
    message = _("The studio's data folder cannot be written: {why}.").format(why=why)
    return _refused(message, HTTPStatus.INTERNAL_SERVER_ERROR)


def _not_understood() -> UploadRefused:
    return UploadRefused(
        _("This upload was not understood. Reload the page and send it again."), HTTPStatus.BAD_REQUEST
    )


def _whole(number: str) -> int:
    if not _DIGITS.fullmatch(number):
        raise _not_understood()
    return int(number)
