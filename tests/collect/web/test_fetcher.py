"""The fetcher: size and time limits, redirects, content encodings, errors and closing."""

import gzip
import os
import queue
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from studio.collect.web.fetcher import Fetcher, FetchLimits, FetchResult
from studio.collect.web.rate_limits import FetcherClosed
from studio.errors import ImageRefused
from studio.images.skip_reasons import SkipReason
from tests.collect.web.loopback_server import (
    LoopbackServer,
    ServerConnection,
    ServerReply,
    chunked_reply,
    head,
    redirect_to,
    reply,
)

AGENT = "retrain-studio/test (+test@example.org)"
LOOPBACK = frozenset({"127.0.0.1"})
SHORT = FetchLimits(first_byte_s=0.5, total_s=1.0)
"""For what never comes; what does come may take its time on a busy machine."""
NORMAL = FetchLimits()
CERTIFICATES = Path(__file__).parent / "certificates"


def make_fetcher(**made: Any) -> Fetcher:
    return Fetcher(**{"agent": AGENT, "allowed_hosts": LOOPBACK, "delay_s": 0, **made})


def fetch_error(
    server: LoopbackServer, path: str = "/x", *, limits: FetchLimits = NORMAL, **asked: Any
) -> ImageRefused:
    with make_fetcher(limits=limits) as fetcher, pytest.raises(ImageRefused) as refusal:
        fetcher.get(f"{server.url}{path}", **asked)
    assert str(refusal.value).endswith(".")
    return refusal.value


# What comes


def test_a_image_with_its_headers() -> None:
    with LoopbackServer(
        {"/x": reply(b"bytes", headers={"Content-Type": "image/png", "ETag": '"1"'})}
    ) as server:
        with make_fetcher() as fetcher:
            answer = fetcher.get(f"{server.url}/x#part")
        assert answer == FetchResult(f"{server.url}/x", 200, answer.headers, b"bytes", "no robots.txt")
        assert (answer.headers["content-type"], answer.headers["etag"]) == ("image/png", '"1"')
        assert server.connections == 1, "robots.txt and the image share a connection"
        assert {asked.headers["user-agent"] for asked in server.log} == {AGENT}
        assert server.log[-1].headers["host"] == server.site


def test_requests_send_only_the_headers_they_need() -> None:
    answers = {"/x": reply(b"x", headers={"Set-Cookie": "a=b; Path=/", "WWW-Authenticate": "Basic"})}
    with LoopbackServer(answers) as server, make_fetcher() as fetcher:
        fetcher.get(f"{server.url}/x")
        fetcher.get(f"{server.url}/x")
        for asked in server.log:
            assert set(asked.headers) == {"host", "user-agent", "accept", "accept-encoding"}


def test_not_modified() -> None:
    def answer(connection: ServerConnection) -> bool:
        received = connection.asked.headers
        unchanged = received.get("if-none-match") == '"1"' or received.get("if-modified-since") == "yesterday"
        connection.send(head(304, {"ETag": '"1"'}) if unchanged else reply(b"new"))
        return True

    with (
        LoopbackServer({"/x": answer, "/y": redirect_to("/x"), "/z": head(304)}) as server,
        make_fetcher() as fetcher,
    ):
        for etag, modified in (('"1"', ""), ("", "yesterday")):
            same = fetcher.get(f"{server.url}/x", etag=etag, last_modified=modified)
            assert (same.status, same.body) == (304, b"")
        assert fetcher.get(f"{server.url}/y", etag='"1"').status == 304
        assert fetcher.get(f"{server.url}/x", etag='"2"').body == b"new"
        assert server.connections == 1
        with pytest.raises(ImageRefused, match="answered 304"):  # without having been asked for it
            fetcher.get(f"{server.url}/z")


def test_client_errors_of_a_service_are_returned() -> None:
    answers = {"/x": reply(b"no such word", 400), "/robots.txt": reply(b"User-agent: *\nDisallow: /")}
    with LoopbackServer(answers) as server, make_fetcher() as fetcher:
        answer = fetcher.get(f"{server.url}/x", kind="service", headers={"Authorization": "Bearer 1"})
        assert (answer.status, answer.body) == (400, b"no such word")
        assert [asked.path for asked in server.log] == ["/x"]
        assert server.log[0].headers["authorization"] == "Bearer 1"


def test_a_form_is_sent_once_and_to_nowhere_else() -> None:
    with LoopbackServer({"/token": reply(b"token")}) as other, make_fetcher() as fetcher:
        assert fetcher.post(f"{other.url}/token", {"secret": "a b&c"}).body == b"token"
        assert other.log[0].body == b"secret=a+b%26c"
        assert other.log[0].headers["content-type"] == "application/x-www-form-urlencoded"
        leading = {"/token": redirect_to(f"{other.url}/token", 307)}
        with LoopbackServer(leading) as server, pytest.raises(ImageRefused, match="answered 307"):
            fetcher.post(f"{server.url}/token", {"secret": "1"})
        assert len(other.log) == 1


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (404, SkipReason.MISSING),
        (410, SkipReason.MISSING),
        (401, SkipReason.FORBIDDEN),
        (403, SkipReason.FORBIDDEN),
        (451, SkipReason.FORBIDDEN),
        (400, SkipReason.OTHER),
        (418, SkipReason.OTHER),
        (204, SkipReason.OTHER),
        (302, SkipReason.OTHER),
        (500, SkipReason.UNREACHABLE),
        (502, SkipReason.UNREACHABLE),
    ],
)
def test_other_statuses_raise(status: int, why: SkipReason) -> None:
    with LoopbackServer({"/x": reply(b"" if status == 204 else b"sorry", status)}) as server:
        refusal = fetch_error(server)
        assert refusal.skip_reason == why
        assert f"{server.url}/x" in str(refusal)
        assert str(status) in str(refusal)


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(status: int) -> None:
    with LoopbackServer({"/y/2": reply(b"there")}) as other:
        with LoopbackServer(
            {"/x": redirect_to("y/1", status), "/y/1": redirect_to(f"{other.url}/y/2#z")}
        ) as first:
            with make_fetcher() as fetcher:
                answer = fetcher.get(f"{first.url}/x", headers={"Authorization": "Bearer 1"})
            assert (answer.url, answer.body) == (f"{other.url}/y/2", b"there")
            assert first.log[-1].headers["authorization"] == "Bearer 1"
        assert [asked.path for asked in other.log] == ["/robots.txt", "/y/2"]
        assert "authorization" not in other.log[-1].headers, "what is for one site goes to no other"


def test_five_redirects_and_no_more() -> None:
    answers = {f"/{hop}": redirect_to(f"/{hop + 1}") for hop in range(6)}
    with LoopbackServer({**answers, "/6": reply(b"there")}) as server:
        with make_fetcher() as fetcher:
            assert fetcher.get(f"{server.url}/1").body == b"there"
        assert fetch_error(server, "/0").skip_reason == SkipReason.REDIRECTS


def test_a_circle_has_an_end() -> None:
    with LoopbackServer({"/x": redirect_to("/y"), "/y": redirect_to("/x")}) as server:
        refusal = fetch_error(server)
        assert refusal.skip_reason == SkipReason.REDIRECTS
        assert "more than 5 redirects" in str(refusal)
        assert server.paths == ["/x", "/y"] * 3


def test_every_hop_asks_the_rules_of_its_site() -> None:
    rules = reply(b"User-agent: *\nDisallow: /private/")
    with LoopbackServer({"/robots.txt": rules, "/private/x": reply(b"x")}) as other:
        with LoopbackServer({"/x": redirect_to(f"{other.url}/private/x")}) as server:
            refusal = fetch_error(server)
        assert refusal.skip_reason == SkipReason.ROBOTS
        assert f"{other.url}/robots.txt forbids it" in str(refusal)
        assert other.paths == []


# Sizes


@pytest.mark.parametrize("kind", ["picture", "page"])
def test_a_length_that_is_too_large_is_believed(kind: Any) -> None:
    with LoopbackServer({"/x": head(headers={"Content-Length": "50000001"})}) as server:
        refusal = fetch_error(server, kind=kind)
        assert refusal.skip_reason == SkipReason.TOO_LARGE
        assert ("50 MB" if kind == "picture" else "10 MB") in str(refusal)


def endless(connection: ServerConnection) -> None:
    while not connection.ended.is_set():
        connection.send(b"\0" * 65_536)


def endless_body(connection: ServerConnection) -> None:
    connection.send(head())
    endless(connection)


def endless_chunks(connection: ServerConnection) -> None:
    connection.send(head(headers={"Transfer-Encoding": "chunked"}))
    while not connection.ended.is_set():
        connection.send(b"10000\r\n" + b"\0" * 65_536 + b"\r\n")


def one_endless_chunk(connection: ServerConnection) -> None:
    connection.send(head(headers={"Transfer-Encoding": "chunked"}) + b"ffffffffffffff\r\n")
    endless(connection)


@pytest.mark.parametrize("answer", [endless_body, endless_chunks, one_endless_chunk])
def test_a_body_is_counted_while_it_comes(answer: Callable[[ServerConnection], None]) -> None:
    with LoopbackServer({"/x": answer}) as server:
        refusal = fetch_error(server, max_bytes=1_000_000)
        assert refusal.skip_reason == SkipReason.TOO_LARGE
        assert "larger than 1 MB" in str(refusal)


def closing(answer: bytes) -> Callable[[ServerConnection], None]:
    """Return a reply after which the connection is closed."""
    return lambda connection: connection.send(answer)


@pytest.mark.parametrize("way", ["length", "close", "chunks", "package"])
def test_a_body_may_be_as_large_as_the_limit(way: str) -> None:
    body = os.urandom(50_000) + bytes(50_000)
    answers: dict[str, ServerReply] = {
        "length": reply(body),
        "close": closing(head() + body),
        "chunks": chunked_reply(body[:1], body[1:]),
        "package": reply(gzip.compress(body), headers={"Content-Encoding": "gzip"}),
    }
    with LoopbackServer({"/x": answers[way]}) as server:
        with make_fetcher() as fetcher:
            assert fetcher.get(f"{server.url}/x", max_bytes=100_000).body == body
        assert fetch_error(server, max_bytes=99_999).skip_reason == SkipReason.TOO_LARGE


@pytest.mark.parametrize("packing", ["gzip", "deflate"])
def test_a_small_package_of_a_huge_body(packing: str) -> None:
    huge = bytes(80_000_000)
    packed = gzip.compress(huge) if packing == "gzip" else zlib.compress(huge)
    assert len(packed) < 100_000
    with LoopbackServer({"/x": reply(packed, headers={"Content-Encoding": packing})}) as server:
        assert fetch_error(server, max_bytes=1_000_000).skip_reason == SkipReason.TOO_LARGE


def test_endless_packages_of_nothing() -> None:
    nothing = zlib.compressobj()
    start = nothing.compress(b"x") + nothing.flush(zlib.Z_FULL_FLUSH)

    def answer(connection: ServerConnection) -> None:
        connection.send(head(headers={"Content-Encoding": "deflate"}) + start)
        while not connection.ended.is_set():
            connection.send(b"\0\0\0\xff\xff" * 10_000)  # a block without content

    with LoopbackServer({"/x": answer}) as server:
        assert fetch_error(server, max_bytes=1_000_000).skip_reason == SkipReason.TOO_LARGE


def bare_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


BODY = os.urandom(40_000) + bytes(400_000)


@pytest.mark.parametrize(
    ("packing", "packed"),
    [
        ("gzip", gzip.compress(BODY)),
        ("GZIP", gzip.compress(BODY)),
        ("x-gzip", gzip.compress(BODY)),
        ("gzip", gzip.compress(BODY[:999]) + gzip.compress(BODY[999:])),
        ("gzip", gzip.compress(BODY) + bytes(100_000)),
        ("deflate", zlib.compress(BODY)),
        ("deflate", zlib.compress(BODY, 1)),
        ("deflate", bare_deflate(BODY)),
        ("identity", BODY),
    ],
    ids=["gzip", "capitals", "x-gzip", "two behind each other", "filled up", "zlib", "fast", "bare", "plain"],
)
def test_packages_are_unpacked(packing: str, packed: bytes) -> None:
    headers = {"Content-Encoding": packing, "Transfer-Encoding": "chunked"}
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (packed[:1], packed[1:20], packed[20:]))
    answers = {
        "/x": reply(packed, headers={"Content-Encoding": packing}),
        "/chunks": head(headers=headers) + pieces + b"0\r\n\r\n",
    }
    with LoopbackServer(answers) as server, make_fetcher() as fetcher:
        assert fetcher.get(f"{server.url}/x").body == BODY
        assert fetcher.get(f"{server.url}/chunks").body == BODY
        assert server.connections == 1


@pytest.mark.parametrize(
    ("packing", "packed"),
    [
        ("gzip", gzip.compress(BODY)[:-20]),
        ("gzip", b"no package"),
        ("gzip", gzip.compress(BODY)[:-8] + b"12345678"),
        ("deflate", b"no package"),
        ("br", b"whatever"),
        ("gzip, gzip", gzip.compress(gzip.compress(BODY))),
    ],
)
def test_broken_packages(packing: str, packed: bytes) -> None:
    with LoopbackServer({"/x": reply(packed, headers={"Content-Encoding": packing})}) as server:
        assert fetch_error(server).skip_reason == SkipReason.DAMAGED


def cut_short(connection: ServerConnection) -> None:
    connection.send(head(headers={"Content-Length": "1000"}) + b"only this")


def cut_short_in_pieces(connection: ServerConnection) -> None:
    connection.send(head(headers={"Transfer-Encoding": "chunked"}) + b"5\r\nonly this")


@pytest.mark.parametrize("answer", [cut_short, cut_short_in_pieces])
def test_a_body_that_ends_early(answer: Callable[[ServerConnection], None]) -> None:
    with LoopbackServer({"/x": answer}) as server:
        refusal = fetch_error(server)
        assert refusal.skip_reason == SkipReason.UNREACHABLE
        assert "broke off" in str(refusal)


def test_bytes_beyond_the_content_length_are_not_read() -> None:
    answers = {"/x": reply(b"body", headers={"Content-Length": "2"}), "/y": reply(b"y")}
    with LoopbackServer(answers) as server, make_fetcher() as fetcher:
        assert fetcher.get(f"{server.url}/x").body == b"bo"
        assert fetcher.get(f"{server.url}/y").body == b"y"


# Headers


def endless_header(connection: ServerConnection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\n")
    while not connection.ended.is_set():
        connection.send(b"X: " + b"x" * 4000 + b"\r\n")


def endless_header_line(connection: ServerConnection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nX: ")
    while not connection.ended.is_set():
        connection.send(b"x" * 4000)


def endless_first_line(connection: ServerConnection) -> None:
    while not connection.ended.is_set():
        connection.send(b"x" * 4000)


def endless_promises(connection: ServerConnection) -> None:
    while not connection.ended.is_set():
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def endless_length_of_a_chunk(connection: ServerConnection) -> None:
    connection.send(head(headers={"Transfer-Encoding": "chunked"}))
    while not connection.ended.is_set():
        connection.send(b"0" * 4000)


@pytest.mark.parametrize(
    "answer",
    [endless_header, endless_header_line, endless_first_line, endless_promises, endless_length_of_a_chunk],
)
def test_floods_of_headers(answer: Callable[[ServerConnection], None]) -> None:
    with LoopbackServer({"/x": answer}) as server:
        assert fetch_error(server).skip_reason in (SkipReason.TOO_LARGE, SkipReason.UNREACHABLE)


def test_a_header_as_large_as_the_limit() -> None:
    limits = FetchLimits(header_bytes=10_000)
    for size, fits in ((9_800, True), (10_001, False)):
        with LoopbackServer({"/x": reply(b"x", headers={"X": "x" * size})}) as server:
            if fits:
                with make_fetcher(limits=limits) as fetcher:
                    assert fetcher.get(f"{server.url}/x").body == b"x"
            else:
                assert "header is too large" in str(fetch_error(server, limits=limits))


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\r\n\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nabcde",
        head(headers={"Transfer-Encoding": "chunked"}) + b"-5\r\nabcde\r\n0\r\n\r\n",
        head(headers={"Transfer-Encoding": "chunked"}) + b"xyz\r\n\x1b[2J",
    ],
)
def test_what_is_not_http(answer: bytes) -> None:
    with LoopbackServer({"/x": closing(answer)}) as server:
        refusal = fetch_error(server)
        assert refusal.skip_reason == SkipReason.UNREACHABLE
        assert str(refusal).isprintable()


# Times


def silence(connection: ServerConnection) -> None:
    connection.wait()


def dripping_header(connection: ServerConnection) -> None:
    connection.drip(reply(b"x", headers={"X": "x" * 1000}))


def dripping_body(connection: ServerConnection) -> None:
    connection.send(head(headers={"Content-Length": "1000"}))
    connection.drip(b"x" * 1000)


def dripping_body_without_length(connection: ServerConnection) -> None:
    connection.send(head())
    connection.drip(b"x" * 1000)


def dripping_chunks(connection: ServerConnection) -> None:
    connection.send(head(headers={"Transfer-Encoding": "chunked"}))
    connection.drip(b"1\r\nx\r\n" * 1000)


def dripping_end(connection: ServerConnection) -> None:
    connection.send(head(headers={"Transfer-Encoding": "chunked"}) + b"1\r\nx\r\n0\r\n")
    while not connection.ended.wait(0.01):
        connection.send(b"X-Trailer: x\r\n")


def stopping_in_the_middle(connection: ServerConnection) -> None:
    connection.send(head(headers={"Content-Length": "1000"}) + b"x")
    connection.wait()


SLOW = [
    silence,
    dripping_header,
    dripping_body,
    dripping_body_without_length,
    dripping_chunks,
    dripping_end,
    stopping_in_the_middle,
]


@pytest.mark.parametrize("answer", SLOW)
def test_slow_answers_are_given_up(answer: Callable[[ServerConnection], None]) -> None:
    with LoopbackServer({"/x": answer}) as server:
        refusal = fetch_error(server, limits=FetchLimits(first_byte_s=0.3, total_s=0.6))
        assert refusal.skip_reason == SkipReason.SLOW
        assert "too slow" in str(refusal)
        assert server.until(lambda server: server.open == 0)


def test_a_slow_name_resolution_times_out() -> None:
    ended = threading.Event()

    def resolve(*_what: Any, **_how: Any) -> list[Any]:
        ended.wait(120)
        return []

    with make_fetcher(limits=SHORT, resolve=resolve) as fetcher, pytest.raises(ImageRefused) as refusal:
        fetcher.get("http://slow.example/x")
    ended.set()
    assert refusal.value.skip_reason == SkipReason.SLOW


# Connections


def test_connections_are_kept_and_used_again() -> None:
    with (
        LoopbackServer({"/x": reply(b"x"), "/gone": reply(b"sorry", 404)}) as server,
        make_fetcher() as fetcher,
    ):
        for _time in range(5):
            fetcher.get(f"{server.url}/x")
            with pytest.raises(ImageRefused):
                fetcher.get(f"{server.url}/gone")
        assert (server.connections, len(server.log)) == (1, 11)


def test_a_kept_connection_that_was_closed_is_made_anew() -> None:
    """The server closes the kept-alive connection at the moment of the next request."""
    seen = 0

    def answer(connection: ServerConnection) -> bool:
        nonlocal seen
        seen += 1
        if seen == 2:
            return False
        connection.send(reply(b"x"))
        return True

    with LoopbackServer({"/x": answer}) as server, make_fetcher() as fetcher:
        assert fetcher.get(f"{server.url}/x").body == b"x"
        assert fetcher.get(f"{server.url}/x").body == b"x"
        assert server.connections == 2


def test_a_site_that_always_closes_the_connection_gets_one_request() -> None:
    with LoopbackServer({"/x": lambda _line: False, "/robots.txt": lambda _line: False}) as server:
        assert fetch_error(server, kind="service").skip_reason == SkipReason.UNREACHABLE
        assert len(server.log) == 1


def test_nobody_there() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))  # and does not listen
        with (
            make_fetcher() as fetcher,
            pytest.raises(ImageRefused, match="cannot be reached") as refusal,
        ):
            fetcher.get(f"http://127.0.0.1:{holder.getsockname()[1]}/x")
    assert refusal.value.skip_reason == SkipReason.UNREACHABLE


def test_the_next_address_of_a_host_is_tried() -> None:
    with LoopbackServer({"/x": reply(b"x")}) as server, socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))

        def resolve(*_what: Any, **how: Any) -> list[Any]:
            ports = (holder.getsockname()[1], server.port)
            return [found for port in ports for found in socket.getaddrinfo("127.0.0.1", port, **how)]

        hosts = frozenset({"two.example"})
        with make_fetcher(allowed_hosts=hosts, resolve=resolve) as fetcher:
            assert fetcher.get("http://two.example/x").body == b"x"


# Encryption


def encrypted() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "good.example.pem")
    return context


@pytest.mark.parametrize(
    ("host", "trusted", "accepted"),
    [
        ("good.example", True, True),
        ("good.example", False, False),
        ("other.example", True, False),
        ("127.0.0.1", True, False),
    ],
    ids=["right", "made by themselves", "another name", "an IP address"],
)
def test_certificates(host: str, trusted: bool, accepted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", os.fspath(CERTIFICATES / "authority.pem"))
    with LoopbackServer({"/x": reply(b"x")}, context=encrypted()) as server:

        def resolve(*_what: Any, **how: Any) -> list[Any]:
            return list(socket.getaddrinfo("127.0.0.1", server.port, **how))

        with make_fetcher(allowed_hosts=frozenset({host}), resolve=resolve) as fetcher:
            if accepted:
                for _time in range(2):
                    assert fetcher.get(f"https://{host}/x").body == b"x"
                assert server.connections == 1
                return
            with pytest.raises(ImageRefused, match="certificate is not valid for it") as refusal:
                fetcher.get(f"https://{host}/x")
            assert refusal.value.skip_reason == SkipReason.UNREACHABLE
            assert server.log == []


@contextmanager
def silent() -> Iterator[socket.socket]:
    """A server that accepts connections and never replies."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        place.listen(8)
        yield place


def test_a_greeting_that_does_not_come() -> None:
    with silent() as place, make_fetcher(limits=SHORT) as fetcher, pytest.raises(ImageRefused) as refusal:
        fetcher.get(f"https://127.0.0.1:{place.getsockname()[1]}/x")
    assert refusal.value.skip_reason == SkipReason.SLOW


# The end


def ends(fetcher: Fetcher, url: str, *, when: Callable[[], object], **asked: Any) -> None:
    """Assert that a request in flight ends with FetcherClosed when the fetcher is closed."""
    came: queue.SimpleQueue[object] = queue.SimpleQueue()

    def ask() -> None:
        try:
            came.put(fetcher.get(url, **asked))
        except BaseException as fault:
            came.put(fault)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    when()
    time.sleep(0.1)
    assert came.empty()
    fetcher.close()
    assert isinstance(came.get(timeout=60), FetcherClosed)
    with pytest.raises(FetcherClosed):
        fetcher.get(url)


@pytest.mark.parametrize("answer", SLOW)
def test_the_end_in_the_middle_of_an_answer(answer: Callable[[ServerConnection], None]) -> None:
    with LoopbackServer({"/x": answer}) as server:
        ends(
            make_fetcher(),
            f"{server.url}/x",
            when=lambda: server.until(lambda server: "/x" in server.paths),
        )
        assert server.until(lambda server: server.open == 0), "no connection stays open"


def test_the_end_in_the_middle_of_a_greeting() -> None:
    lines: list[socket.socket] = []

    def greeted() -> None:
        lines.append(place.accept()[0])
        lines[0].settimeout(60)
        assert lines[0].recv(1)

    with silent() as place:
        ends(make_fetcher(), f"https://127.0.0.1:{place.getsockname()[1]}/x", when=greeted)
        with lines[0]:
            while lines[0].recv(1000):  # until the connection's end
                pass


def test_closing_during_a_name_resolution() -> None:
    asked, ended = threading.Event(), threading.Event()

    def resolve(*_what: Any, **_how: Any) -> list[Any]:
        asked.set()
        ended.wait(120)
        return []

    ends(make_fetcher(resolve=resolve), "http://slow.example/x", when=lambda: asked.wait(60))
    ended.set()


def test_closing_while_a_site_is_suspended() -> None:
    with LoopbackServer({"/x": reply(status=503, headers={"Retry-After": "30"})}) as server:
        ends(
            make_fetcher(),
            f"{server.url}/x",
            when=lambda: server.until(lambda server: "/x" in server.paths),
        )


def test_the_end_while_others_have_the_connections() -> None:
    with LoopbackServer({"/x": silence}) as server, ThreadPoolExecutor(3) as pool:
        fetcher = make_fetcher(connections=2)
        waiting: list[Future[FetchResult]] = [
            pool.submit(fetcher.get, f"{server.url}/x", kind="service") for _each in range(3)
        ]
        assert server.until(lambda server: len(server.log) == 2)
        fetcher.close()
        for future in waiting:
            assert isinstance(future.exception(timeout=60), FetcherClosed)
        assert len(server.log) == 2


def test_the_end_while_connecting() -> None:
    """To a server whose queue of connections is full."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _each in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        time.sleep(0.1)
        with socket.socket() as trial:
            trial.settimeout(0.3)
            if trial.connect_ex(full.getsockname()) == 0:
                pytest.skip("this system lets any number of connections wait")
        ends(make_fetcher(), f"http://127.0.0.1:{full.getsockname()[1]}/x", when=lambda: None)
        with (
            make_fetcher(limits=FetchLimits(first_byte_s=0.3)) as fetcher,
            pytest.raises(ImageRefused) as refusal,
        ):
            fetcher.get(f"http://127.0.0.1:{full.getsockname()[1]}/x")
        assert refusal.value.skip_reason == SkipReason.SLOW
        for filler in fillers:
            filler.close()


def test_the_end_closes_what_is_kept() -> None:
    with LoopbackServer({"/x": reply(b"x")}) as server:
        fetcher = make_fetcher()
        fetcher.get(f"{server.url}/x")
        assert server.open == 1
        fetcher.close()
        fetcher.close()
        assert server.until(lambda server: server.open == 0)
