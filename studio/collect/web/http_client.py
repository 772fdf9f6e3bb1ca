"""HTTP client: sends one request and reads its response, within time and size limits."""

import contextlib
import http
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import urllib3
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError, ProtocolError, SSLError
from urllib3.exceptions import TimeoutError as UrllibTimeout

from studio.collect.web.connections import ConnectionPolicy, ConnectionPools, HeaderTooLarge
from studio.collect.web.deadlines import Deadline
from studio.collect.web.rate_limits import FetcherClosed
from studio.collect.web.urls import origin_of, printable
from studio.errors import ImageRefused
from studio.i18n import _
from studio.images.skip_reasons import SkipReason

_CHUNK_BYTES = 1 << 16
_GZIP, _ZLIB, _RAW_DEFLATE = zlib.MAX_WBITS | 16, zlib.MAX_WBITS, -zlib.MAX_WBITS
_GZIP_SIGNATURE = b"\x1f"
_DEFLATED, _METHOD_MASK = 8, 0x0F
ACCEPT_ENCODING = "gzip, deflate"
"""Content encodings that `read_body` can decode."""


def read_body(response: BaseHTTPResponse, url: str, max_bytes: int, *, truncate: bool = False) -> bytes:
    """Return the body of a response, decoded.

    A body longer than `max_bytes` is cut off if `truncate`, else it raises ImageRefused, as a damaged one
    does. The Content-Length header is trusted only if it exceeds the limit.
    """
    if (response.length_remaining or 0) > max_bytes and not truncate:
        raise _too_large_error(url, max_bytes)
    parts: list[bytes] = []
    size = 0
    for part in _decompressed_chunks(response, url, max_bytes):
        parts.append(part)
        size += len(part)
        if size > max_bytes:
            if truncate:
                break
            raise _too_large_error(url, max_bytes)
    return b"".join(parts)[:max_bytes]


def _decompressed_chunks(response: BaseHTTPResponse, url: str, max_bytes: int) -> Iterator[bytes]:
    """Yield the body in decoded chunks of at most `max_bytes` + 1 bytes."""
    chunks = response.stream(_CHUNK_BYTES, decode_content=False)
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding in ("", "identity"):
        yield from chunks
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise ImageRefused(
            _("{url} has the content encoding {encoding}, which was not requested.").format(
                url=url, encoding=printable(encoding)
            ),
            SkipReason.DAMAGED,
        )
    decompressor = None
    received_bytes = 0
    try:
        for chunk in chunks:
            received_bytes += len(chunk)
            if received_bytes > max_bytes:  # compressed data of any size may decode to nothing
                raise _too_large_error(url, max_bytes)
            compressed = chunk
            while compressed:
                if decompressor is None or (decompressor.eof and compressed.startswith(_GZIP_SIGNATURE)):
                    decompressor = zlib.decompressobj(
                        _GZIP if encoding.endswith("gzip") else _deflate_window_bits(compressed)
                    )
                if decompressor.eof:
                    break  # trailing data is ignored, as in browsers
                yield decompressor.decompress(compressed, max_bytes + 1)
                compressed = decompressor.unconsumed_tail or decompressor.unused_data
    except zlib.error as error:
        raise _decompression_error(url) from error
    if decompressor is not None and not decompressor.eof:
        raise _decompression_error(url)


def _deflate_window_bits(compressed: bytes) -> int:
    """Return the window bits for a deflate body: zlib data with a header, or raw deflate without one."""
    first, second = compressed[0], compressed[1] if len(compressed) > 1 else 0
    headed = first & _METHOD_MASK == _DEFLATED and (len(compressed) == 1 or (first << 8 | second) % 31 == 0)
    return _ZLIB if headed else _RAW_DEFLATE


def _decompression_error(url: str) -> ImageRefused:
    return ImageRefused(_("{url} is damaged: it cannot be unpacked.").format(url=url), SkipReason.DAMAGED)


def _too_large_error(url: str, max_bytes: int) -> ImageRefused:
    return ImageRefused(
        _("{url} is larger than {limit} MB.").format(url=url, limit=f"{max_bytes / 1e6:g}"),
        SkipReason.TOO_LARGE,
    )


_MAX_DRAINED_BYTES = 65_536


@dataclass(frozen=True)
class Request:
    """An HTTP request: GET, or POST with a form."""

    url: str
    """Normalised."""
    headers: Mapping[str, str]
    form: bytes | None = None
    """URL-encoded body of a POST."""


@dataclass(frozen=True)
class Response:
    """The response to one request; redirects and errors are responses too."""

    status: int
    headers: urllib3.HTTPHeaderDict
    body: bytes = b""


class HttpClient:
    """Sends requests and reads responses. Thread-safe.

    first_byte_s: time limit for the response's header, and between two chunks of its body. total_s: time
    limit for the whole request.
    """

    def __init__(
        self, agent: str, connections: int, policy: ConnectionPolicy, *, first_byte_s: float, total_s: float
    ) -> None:
        self._pools = ConnectionPools(connections, policy, read_timeout_s=first_byte_s)
        self._deadlines = policy.deadlines
        self._first_byte_s, self._total_s = first_byte_s, total_s
        self._headers = {"User-Agent": agent, "Accept": "*/*", "Accept-Encoding": ACCEPT_ENCODING}

    def send(
        self, request: Request, max_body_bytes: Callable[[Response], int], *, truncate: bool = False
    ) -> Response:
        """Send a request once.

        max_body_bytes: returns the size limit of the body, given the response without it; 0: do not read it.
        truncate: cut a longer body off instead of raising. Raises ImageRefused when no complete response
        comes, FetcherClosed after `close`.
        """
        started_at = time.monotonic()
        deadline = self._deadlines.start(started_at + self._first_byte_s)
        response: urllib3.BaseHTTPResponse | None = None
        try:
            response = self._send(request, deadline)
            deadline.ends_at = started_at + self._total_s
            result = Response(response.status, response.headers)
            max_bytes = max_body_bytes(result)
            if max_bytes:
                body = read_body(response, request.url, max_bytes, truncate=truncate)
                result = Response(response.status, response.headers, body)
            else:
                _drain(response)
        except ImageRefused:
            if self._deadlines.closed:
                raise FetcherClosed from None
            raise
        except (HTTPError, http.client.HTTPException, OSError, HeaderTooLarge, ValueError) as error:
            if self._deadlines.closed:
                raise FetcherClosed from error
            raise _fetch_error(error, request.url, timed_out=deadline.was_aborted) from error
        finally:
            was_aborted = self._deadlines.finish(deadline)
            if response is not None:
                if response.closed and not was_aborted:  # the body has been read completely
                    response.release_conn()
                else:
                    response.close()
        if was_aborted:  # a body without a length seems to end normally
            if self._deadlines.closed:
                raise FetcherClosed
            raise _timeout_error(request.url)
        return result

    def close(self) -> None:
        """Abort all requests and close all connections."""
        self._deadlines.close()
        self._pools.close()

    def _send(self, request: Request, deadline: Deadline) -> urllib3.BaseHTTPResponse:
        send = partial(
            self._pools.for_url(request.url).urlopen,
            "GET" if request.form is None else "POST",
            request.url[len(origin_of(request.url)) :],
            headers={**self._headers, **request.headers},
            body=request.form,
            redirect=False,
            retries=False,
            preload_content=False,
            decode_content=False,
        )
        try:
            return send()
        except ProtocolError as error:
            if (
                not deadline.reused_connection
                or deadline.was_aborted
                or request.form is not None
                or _is_header_too_large(error)
            ):
                raise
        return send()  # the server had closed the kept-alive connection


def _drain(response: urllib3.BaseHTTPResponse) -> None:
    """Read an unwanted body if it is short, so that its connection can be kept."""
    remaining_bytes = response.length_remaining
    if remaining_bytes is not None and remaining_bytes <= _MAX_DRAINED_BYTES:
        with contextlib.suppress(HTTPError, OSError):
            response.read(decode_content=False)


def _is_header_too_large(error: Exception) -> bool:
    return isinstance(error, HeaderTooLarge) or any(isinstance(arg, HeaderTooLarge) for arg in error.args)


def _timeout_error(url: str) -> ImageRefused:
    return ImageRefused(_("{url} is too slow: it did not come in time.").format(url=url), SkipReason.SLOW)


def _fetch_error(error: Exception, url: str, *, timed_out: bool) -> ImageRefused:
    if timed_out or isinstance(error, UrllibTimeout | TimeoutError):
        return _timeout_error(url)
    if _is_header_too_large(error):
        return ImageRefused(
            _("{url} is not read: its answer's header is too large.").format(url=url),
            SkipReason.TOO_LARGE,
        )
    inner = error.args[-1] if isinstance(error, ProtocolError) and error.args else error
    if isinstance(error, SSLError):
        message = _("{url} cannot be reached safely: its certificate is not valid for it ({why}).")
    else:
        message = _("{url} broke off, or did not speak HTTP ({why}).")
    why = printable(" ".join(str(inner).split())) or _("nothing came")
    return ImageRefused(message.format(url=url, why=why), SkipReason.UNREACHABLE)
