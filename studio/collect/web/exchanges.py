"""One request and its answer, within its time."""

import contextlib
import http.client
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import urllib3
from urllib3.exceptions import HTTPError, ProtocolError, SSLError
from urllib3.exceptions import TimeoutError as UrllibTimeout

from studio.collect.web.addresses import origin, shown
from studio.collect.web.bodies import PACKINGS, read_body
from studio.collect.web.connections import Checks, HeaderTooLarge, Pools
from studio.collect.web.lifelines import Life
from studio.collect.web.manners import VisitEnded
from studio.collect.why import Why
from studio.errors import PictureRefused
from studio.language import _

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
        one the beginning is. Raises PictureRefused when no whole answer comes, VisitEnded after `close`.
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
        except PictureRefused:
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


def _too_slow(address: str) -> PictureRefused:
    return PictureRefused(
        _("{address} is too slow: it did not come in time.").format(address=address), Why.SLOW
    )


def _refusal(error: Exception, address: str, *, late: bool) -> PictureRefused:
    if late or isinstance(error, UrllibTimeout | TimeoutError):
        return _too_slow(address)
    if _header_too_large(error):
        return PictureRefused(
            _("{address} is not read: its answer's header is too large.").format(address=address),
            Why.TOO_LARGE,
        )
    inner = error.args[-1] if isinstance(error, ProtocolError) and error.args else error
    if isinstance(error, SSLError):
        said = _("{address} cannot be reached safely: its certificate is not valid for it ({why}).")
    else:
        said = _("{address} broke off, or did not speak HTTP ({why}).")
    why = shown(" ".join(str(inner).split())) or _("nothing came")
    return PictureRefused(said.format(address=address, why=why), Why.UNREACHABLE)
