"""Routes that receive uploads in parts, resumable, without holding a file in memory.

    HEAD   /studio/uploads/{batch}/{bundle}              → Upload-Offset: bytes received
    PUT    /studio/uploads/{batch}/{bundle}?at=…&size=…  → Upload-Offset; 409 where `at` is not the offset
    POST   /studio/uploads/{batch}/finish                → {"job": id}; 409 {"incomplete": [bundles]}
    DELETE /studio/uploads/{batch}                       → discards what was received

`docs/decisions/0036-resumable-uploads.md` gives the reasons for this protocol.
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
from studio.web.collect.uploads import (
    ListedFile,
    OffsetMismatch,
    UploadBatch,
    UploadIncomplete,
    UploadRefused,
    disk_full,
)
from studio.web.http import cross_site_response, error_response, is_own_page, validation_message
from studio.web.state import now

UPLOADS = "/studio/uploads"
_HEADER = "x-studio-upload"
_DIGITS = re.compile(r"[0-9]{1,15}")
_BLOCK_BYTES = 1 << 20
_MAX_LIST_BYTES = 64 << 20
_MAX_DRAINED_BYTES = 64 << 20
_SILENCE_S = 30
"""A request of which nothing arrives for so long is given up."""

_Body = AsyncIterator[bytes]
_Handler = Callable[[Request, UploadBatch, _Body], Awaitable[Response]]


class _FileJson(BaseModel):
    bundle: int = Field(ge=0, le=999_999)
    name: str = Field(max_length=4096)
    size: int = Field(ge=0)


class _FinishJson(BaseModel):
    project: int = Field(ge=1, le=2**31 - 1)
    class_name: str | None = Field(default=None, max_length=1000)
    kind: Literal["upload", "camera"] = "upload"
    files: list[_FileJson] = Field(min_length=1)


def upload_routes(settings: Settings, database: Database) -> list[BaseRoute]:
    """Return the routes that receive uploads into the data folder."""

    async def get_offset(request: Request, batch: UploadBatch, _body: _Body) -> Response:
        return _offset_response(await run_in_threadpool(batch.offset, request.path_params["bundle"]))

    async def receive(request: Request, batch: UploadBatch, body: _Body) -> Response:
        bundle = request.path_params["bundle"]
        at, size = (_whole_number(request.query_params.get(name, "")) for name in ("at", "size"))
        block = bytearray()
        try:
            async for chunk in body:
                block += chunk
                if len(block) >= _BLOCK_BYTES:
                    at = await run_in_threadpool(batch.append, bundle, block, at, size)
                    block = bytearray()
        except (ClientDisconnect, TimeoutError):
            # What was received is kept, so that the sender resumes from there.
            await run_in_threadpool(batch.append, bundle, block, at, size)
            return Response(status_code=HTTPStatus.REQUEST_TIMEOUT)
        return _offset_response(await run_in_threadpool(batch.append, bundle, block, at, size))

    async def finish(_request: Request, batch: UploadBatch, body: _Body) -> Response:
        content = bytearray()
        async for chunk in body:
            content += chunk
            if len(content) > _MAX_LIST_BYTES:
                raise UploadRefused(
                    _("There are too many files for one upload. Upload them as an archive."),
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                )
        return JSONResponse({"job": await run_in_threadpool(enqueue, batch, bytes(content))})

    def enqueue(batch: UploadBatch, content: bytes) -> int:
        job_id = tasks.find_uploads_job(database, batch.id)
        if job_id is not None:
            return job_id  # a repeated request; the job may have removed the files already
        try:
            request = _FinishJson.model_validate_json(content)
        except ValidationError as error:
            raise UploadRefused(validation_message(error), HTTPStatus.BAD_REQUEST) from error
        folder = batch.finish([ListedFile(file.bundle, file.name, file.size) for file in request.files])
        return tasks.start_ingest_uploads(
            database, request.project, folder, request.class_name, now(), kind=request.kind
        )

    async def discard(_request: Request, batch: UploadBatch, _body: _Body) -> Response:
        await run_in_threadpool(batch.discard)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def guard(handler: _Handler) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            if not is_own_page(request, _HEADER):
                return cross_site_response()
            body = _chunks(request)
            try:
                batch = UploadBatch(settings.uploads_dir, request.path_params["batch"])
                return await handler(request, batch, body)
            except OffsetMismatch as mismatch:
                response: Response = _offset_response(mismatch.offset, HTTPStatus.CONFLICT)
            except UploadIncomplete as incomplete:
                return JSONResponse({"incomplete": incomplete.numbers}, HTTPStatus.CONFLICT)
            except UploadRefused as refusal:
                response = error_response(str(refusal), refusal.status)
            except ProjectError as error:
                return error_response(str(error), HTTPStatus.NOT_FOUND)
            except (ClientDisconnect, TimeoutError):
                return Response(status_code=HTTPStatus.REQUEST_TIMEOUT)
            except OSError as error:
                response = _write_error_response(error)
            await _drain(body)
            return response

        return answer

    return [
        Route(f"{UPLOADS}/{{batch}}/finish", guard(finish), methods=["POST"]),
        Route(f"{UPLOADS}/{{batch}}/{{bundle}}", guard(get_offset), methods=["HEAD"]),
        Route(f"{UPLOADS}/{{batch}}/{{bundle}}", guard(receive), methods=["PUT"]),
        Route(f"{UPLOADS}/{{batch}}", guard(discard), methods=["DELETE"]),
    ]


async def _chunks(request: Request) -> _Body:
    stream = request.stream()
    while True:
        async with asyncio.timeout(_SILENCE_S):
            chunk = await anext(stream, None)
        if chunk is None:
            return
        yield chunk


async def _drain(body: _Body) -> None:
    """Read and drop the rest of a body: a browser whose upload is cut off does not read the response."""
    left = _MAX_DRAINED_BYTES
    with suppress(ClientDisconnect, TimeoutError):
        async for chunk in body:
            left -= len(chunk)
            if left < 0:
                return


def _offset_response(offset: int, status: HTTPStatus = HTTPStatus.NO_CONTENT) -> Response:
    # No body: it would be a second packet, which waits 40 ms for the first to be acknowledged where
    # TCP_NODELAY is not set.
    return Response(status_code=status, headers={"Upload-Offset": str(offset)})


def _write_error_response(error: OSError) -> Response:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        full = disk_full()
        return error_response(str(full), full.status)
    message = _("The studio's data folder cannot be written: {reason}. Check its permissions.").format(
        reason=error.strerror or error
    )
    return error_response(message, HTTPStatus.INTERNAL_SERVER_ERROR)


def _whole_number(text: str) -> int:
    if not _DIGITS.fullmatch(text):
        raise UploadRefused(
            _("The upload request is not valid. Reload the page and upload the files again."),
            HTTPStatus.BAD_REQUEST,
        )
    return int(text)
