"""Request bodies of share links: reading within limits of size, time and memory; the feedback form."""

import asyncio
import json
import re
from math import isfinite

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from studio.errors import StudioError
from studio.i18n import _
from studio.share.feedback import Feedback
from studio.web.middleware import MemoryBudget

MAX_BYTES = 16 << 20
"""Larger than any image of a phone's camera."""
_DRAIN_BYTES = 48 << 20
"""So much more of a body that is too large is read and discarded."""
_MAX_UPLOAD_S = 30
_IDLE_TIMEOUT_S = 10
_CONTENT_LENGTH = re.compile(r"[0-9]{1,15}")
_MAX_FIELD_LENGTH = 20_000
"""Enough for the probabilities of a thousand classes."""
_MAX_FIELDS = 6


class RequestRefused(StudioError):
    """A request is refused, with an HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class RequestBody:
    """A request's body, read into memory within a budget that all requests share; an async context manager.

    The memory is released at the end. Raises RequestRefused, and Overloaded if the budget is used up.
    """

    def __init__(self, request: Request, budget: MemoryBudget, max_bytes: int = MAX_BYTES) -> None:
        self._request, self._budget, self._max_bytes = request, budget, max_bytes
        self._reserved_bytes = 0

    async def __aenter__(self) -> bytes:
        """Read the body."""
        try:
            return await self._read_in_time()
        except BaseException:
            self._release()
            raise

    async def __aexit__(self, *_error: object) -> None:
        """Release the memory."""
        self._release()

    async def _read_in_time(self) -> bytes:
        try:
            async with asyncio.timeout(_MAX_UPLOAD_S):
                return await self._read()
        except TimeoutError as error:
            raise RequestRefused(
                _("The upload took too long. Try again with a better connection."), 408
            ) from error
        except ClientDisconnect as error:
            raise RequestRefused(_("The connection was interrupted. Try again."), 408) from error

    async def _read(self) -> bytes:
        announced = self._request.headers.get("content-length", "0")
        plausible = bool(_CONTENT_LENGTH.fullmatch(announced))
        too_large = not plausible or int(announced) > self._max_bytes
        # A browser shows no answer if the connection is closed while it sends, so a body that is too large is
        # read and discarded, up to a limit.
        drainable = plausible and int(announced) <= self._max_bytes + _DRAIN_BYTES
        if too_large and not drainable:
            raise self._too_large()
        body = bytearray()
        count = 0
        stream = self._request.stream()
        while True:
            async with asyncio.timeout(_IDLE_TIMEOUT_S):
                chunk = await anext(stream, None)
            if chunk is None:
                break
            count += len(chunk)
            too_large = too_large or count > self._max_bytes
            if too_large:
                self._release()
                body.clear()
            else:
                self._reserve(len(chunk))
                body += chunk
            if count > self._max_bytes + _DRAIN_BYTES:
                break
        if too_large:
            raise self._too_large()
        return bytes(body)

    def _reserve(self, size_bytes: int) -> None:
        self._budget.reserve(size_bytes)
        self._reserved_bytes += size_bytes

    def _release(self) -> None:
        self._budget.release(self._reserved_bytes)
        self._reserved_bytes = 0

    def _too_large(self) -> RequestRefused:
        message = _("expected an image of at most {limit} MB. Make it smaller first.")
        return RequestRefused(message.format(limit=self._max_bytes >> 20), 413)


def check_image_headers(request: Request) -> None:
    """Raise RequestRefused if the headers announce anything but an image without content encoding."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not (kind.startswith("image/") or kind in {"", "application/octet-stream"}):
        raise RequestRefused(_("expected an image; got {kind}.").format(kind=kind[:60]), 415)
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RequestRefused(_("expected an image without Content-Encoding."), 415)


async def parse_feedback(request: Request, body: bytes, labels: tuple[str, ...]) -> Feedback:
    """Return the feedback of a multipart form.

    Its fields are `said` (the predicted class), `right` (the correct class, or empty), `probabilities` (a
    JSON list with a number for each of `labels`) and `image`, which may be missing. Raises RequestRefused.
    """

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise _malformed()
    try:
        async with Request(request.scope, receive).form(
            max_files=1, max_fields=_MAX_FIELDS, max_part_size=_MAX_FIELD_LENGTH
        ) as form:
            predicted, correct, probabilities = (
                form.get(name, "") for name in ("said", "right", "probabilities")
            )
            upload = form.get("image")
            image = None if upload is None or isinstance(upload, str) else await upload.read()
    except (HTTPException, KeyError, UnicodeDecodeError) as error:
        raise _malformed() from error
    if not (isinstance(predicted, str) and isinstance(correct, str) and isinstance(probabilities, str)):
        raise _malformed()
    if predicted not in labels or correct not in {"", *labels}:
        raise _malformed()
    score = _parse_probabilities(probabilities, len(labels))[labels.index(predicted)]
    return Feedback(predicted, score, correct, image or None)


def _parse_probabilities(text: str, count: int) -> list[float]:
    try:
        values = json.loads(text)
        probabilities = [float(each) for each in values] if isinstance(values, list) else []
    except (ValueError, TypeError, RecursionError) as error:
        raise _malformed() from error
    if len(probabilities) != count or not all(isfinite(each) and 0 <= each <= 1 for each in probabilities):
        raise _malformed()
    return probabilities


def _malformed() -> RequestRefused:
    return RequestRefused(_("The feedback could not be read. Reload the page and try again."), 400)
