"""One request and its answer, within its time."""

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

from studio.collect.web.connections import Checks, HeaderTooLarge, Life, Pools
from studio.collect.web.rate_limits import VisitEnded
from studio.collect.web.urls import origin, shown
from studio.errors import ImageRefused
from studio.i18n import _
from studio.images.reasons import SkipReason

_CHUNK_BYTES = 1 << 16
_GZIP, _ZLIB, _BARE = zlib.MAX_WBITS | 16, zlib.MAX_WBITS, -zlib.MAX_WBITS
_GZIP_MARK = b"\x1f"
_DEFLATED, _METHOD_BITS = 8, 0x0F
PACKINGS = "gzip, deflate"
"""What can be unpacked, as an Accept-Encoding header."""


def read_body(response: BaseHTTPResponse, address: str, most_bytes: int, *, cut: bool = False) -> bytes:
    """Return an answer's body.

    cut: of a body longer than `most_bytes` the beginning is wanted; else ImageRefused is raised, as it is
    for a damaged one. What a header says of the length is believed only when that is too much.
    """
    if (response.length_remaining or 0) > most_bytes and not cut:
        raise _too_large(address, most_bytes)
    parts: list[bytes] = []
    size = 0
    for part in _unpacked(response, address, most_bytes):
        parts.append(part)
        size += len(part)
        if size > most_bytes:
            if cut:
                break
            raise _too_large(address, most_bytes)
    return b"".join(parts)[:most_bytes]


def _unpacked(response: BaseHTTPResponse, address: str, most_bytes: int) -> Iterator[bytes]:
    """Yield a body piece by piece, none of them unpacked to more than `most_bytes` and one."""
    chunks = response.stream(_CHUNK_BYTES, decode_content=False)
    packing = response.headers.get("Content-Encoding", "").strip().lower()
    if packing in ("", "identity"):
        yield from chunks
        return
    if packing not in ("gzip", "x-gzip", "deflate"):
        raise ImageRefused(
            _("{address} came packed as {packing}, which was not asked for.").format(
                address=address, packing=shown(packing)
            ),
            SkipReason.DAMAGED,
        )
    unpacker = None
    came_bytes = 0
    try:
        for chunk in chunks:
            came_bytes += len(chunk)
            if came_bytes > most_bytes:  # there are packages of any size with nothing in them
                raise _too_large(address, most_bytes)
            packed = chunk
            while packed:
                if unpacker is None or (unpacker.eof and packed.startswith(_GZIP_MARK)):
                    unpacker = zlib.decompressobj(_GZIP if packing.endswith("gzip") else _deflation(packed))
                if unpacker.eof:
                    break  # what stands behind a package is ignored, as browsers do
                yield unpacker.decompress(packed, most_bytes + 1)
                packed = unpacker.unconsumed_tail or unpacker.unused_data
    except zlib.error as error:
        raise _broken_package(address) from error
    if unpacker is not None and not unpacker.eof:
        raise _broken_package(address)


def _deflation(packed: bytes) -> int:
    """Return which of the two things that are called deflate this is: with a header, or without."""
    first, second = packed[0], packed[1] if len(packed) > 1 else 0
    headed = first & _METHOD_BITS == _DEFLATED and (len(packed) == 1 or (first << 8 | second) % 31 == 0)
    return _ZLIB if headed else _BARE


def _broken_package(address: str) -> ImageRefused:
    return ImageRefused(
        _("{address} is damaged: it cannot be unpacked.").format(address=address), SkipReason.DAMAGED
    )


def _too_large(address: str, most_bytes: int) -> ImageRefused:
    return ImageRefused(
        _("{address} is larger than {limit} MB.").format(address=address, limit=f"{most_bytes / 1e6:g}"),
        SkipReason.TOO_LARGE,
    )


_DRAINED_BYTES = 65_536


@dataclass(frozen=True)
class Request:
    """What is asked."""

    address: str
    """In its normal form."""
    headers: Mapping[str, str]
    form: bytes | None = None
    """What is sent; then it is a POST."""


@dataclass(frozen=True)
class Response:
    """What is answered, to this one request: redirects and faults are answers too."""

    status: int
    headers: urllib3.HTTPHeaderDict
    body: bytes = b""


class Exchanges:
    """Sends requests and reads answers, in any number of threads.

    first_byte_s: until an answer's header is here, and between two pieces of its body. total_s: until all is.
    """

    def __init__(
        self, agent: str, connections: int, checks: Checks, *, first_byte_s: float, total_s: float
    ) -> None:
        self._pools = Pools(connections, checks, patience_s=first_byte_s)
        self._lifelines = checks.lifelines
        self._first_byte_s, self._total_s = first_byte_s, total_s
        self._headers = {"User-Agent": agent, "Accept": "*/*", "Accept-Encoding": PACKINGS}

    def ask(self, request: Request, wanted: Callable[[Response], int], *, cut: bool = False) -> Response:
        """Ask once.

        wanted: how many bytes of an answer's body are wanted at most, judged by its header. cut: of a longer
        one the beginning is. Raises ImageRefused when no whole answer comes, VisitEnded after `close`.
        """
        began = time.monotonic()
        life = self._lifelines.begin(began + self._first_byte_s)
        response: urllib3.BaseHTTPResponse | None = None
        try:
            response = self._sent(request, life)
            life.ends_at = began + self._total_s
            answer = Response(response.status, response.headers)
            most_bytes = wanted(answer)
            if most_bytes:
                body = read_body(response, request.address, most_bytes, cut=cut)
                answer = Response(response.status, response.headers, body)
            else:
                _drain(response)
        except ImageRefused:
            if self._lifelines.closed:
                raise VisitEnded from None
            raise
        except (HTTPError, http.client.HTTPException, OSError, HeaderTooLarge, ValueError) as error:
            if self._lifelines.closed:
                raise VisitEnded from error
            raise _refusal(error, request.address, late=life.was_cut) from error
        finally:
            was_cut = self._lifelines.end(life)
            if response is not None:
                if response.closed and not was_cut:  # it has been read to its end
                    response.release_conn()
                else:
                    response.close()
        if was_cut:  # a body without a length just seems to end
            if self._lifelines.closed:
                raise VisitEnded
            raise _too_slow(request.address)
        return answer

    def close(self) -> None:
        """End all requests, and close what is kept."""
        self._lifelines.close()
        self._pools.close()

    def _sent(self, request: Request, life: Life) -> urllib3.BaseHTTPResponse:
        send = partial(
            self._pools.of(request.address).urlopen,
            "GET" if request.form is None else "POST",
            request.address[len(origin(request.address)) :],
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
            if not life.took_kept or life.was_cut or request.form is not None or _header_too_large(error):
                raise
        return send()  # a connection that was kept had been closed by the other side in the meantime


def _drain(response: urllib3.BaseHTTPResponse) -> None:
    """Read a body that nobody wants, if it is short: then its connection can be kept."""
    left = response.length_remaining
    if left is not None and left <= _DRAINED_BYTES:
        with contextlib.suppress(HTTPError, OSError):
            response.read(decode_content=False)


def _header_too_large(error: Exception) -> bool:
    return isinstance(error, HeaderTooLarge) or any(isinstance(arg, HeaderTooLarge) for arg in error.args)


def _too_slow(address: str) -> ImageRefused:
    return ImageRefused(
        _("{address} is too slow: it did not come in time.").format(address=address), SkipReason.SLOW
    )


def _refusal(error: Exception, address: str, *, late: bool) -> ImageRefused:
    if late or isinstance(error, UrllibTimeout | TimeoutError):
        return _too_slow(address)
    if _header_too_large(error):
        return ImageRefused(
            _("{address} is not read: its answer's header is too large.").format(address=address),
            SkipReason.TOO_LARGE,
        )
    inner = error.args[-1] if isinstance(error, ProtocolError) and error.args else error
    if isinstance(error, SSLError):
        said = _("{address} cannot be reached safely: its certificate is not valid for it ({why}).")
    else:
        said = _("{address} broke off, or did not speak HTTP ({why}).")
    why = shown(" ".join(str(inner).split())) or _("nothing came")
    return ImageRefused(said.format(address=address, why=why), SkipReason.UNREACHABLE)
