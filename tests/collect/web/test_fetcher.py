"""What the visitor makes of answers: limits of size and time, redirects, packings, faults, and its end."""

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

from studio.collect.web.fetcher import Answer, Limits, Visitor
from studio.collect.web.rate_limits import VisitEnded
from studio.errors import ImageRefused
from studio.images.reasons import SkipReason
from tests.collect.web.listener import Answering, Line, Listener, chunked, head, leading_to, reply

AGENT = "retrain-studio/test (+test@example.org)"
LOOPBACK = frozenset({"127.0.0.1"})
SHORT = Limits(first_byte_s=0.5, total_s=1.0)
"""For what never comes; what does come may take its time on a busy machine."""
NORMAL = Limits()
CERTIFICATES = Path(__file__).parent / "certificates"


def visiting(**made: Any) -> Visitor:
    return Visitor(**{"agent": AGENT, "allowed_hosts": LOOPBACK, "delay_s": 0, **made})


def refused(listener: Listener, path: str = "/x", *, limits: Limits = NORMAL, **asked: Any) -> ImageRefused:
    with visiting(limits=limits) as visitor, pytest.raises(ImageRefused) as refusal:
        visitor.get(f"{listener.address}{path}", **asked)
    assert str(refusal.value).endswith(".")
    return refusal.value


# What comes


def test_a_image_with_its_headers() -> None:
    with Listener({"/x": reply(b"bytes", headers={"Content-Type": "image/png", "ETag": '"1"'})}) as listener:
        with visiting() as visitor:
            answer = visitor.get(f"{listener.address}/x#part")
        assert answer == Answer(f"{listener.address}/x", 200, answer.headers, b"bytes", "no robots.txt")
        assert (answer.headers["content-type"], answer.headers["etag"]) == ("image/png", '"1"')
        assert listener.connections == 1, "robots.txt and the image share a connection"
        assert {asked.headers["user-agent"] for asked in listener.log} == {AGENT}
        assert listener.log[-1].headers["host"] == listener.site


def test_only_what_a_request_needs_is_told() -> None:
    answers = {"/x": reply(b"x", headers={"Set-Cookie": "a=b; Path=/", "WWW-Authenticate": "Basic"})}
    with Listener(answers) as listener, visiting() as visitor:
        visitor.get(f"{listener.address}/x")
        visitor.get(f"{listener.address}/x")
        for asked in listener.log:
            assert set(asked.headers) == {"host", "user-agent", "accept", "accept-encoding"}


def test_not_modified() -> None:
    def answer(line: Line) -> bool:
        told = line.asked.headers
        unchanged = told.get("if-none-match") == '"1"' or told.get("if-modified-since") == "yesterday"
        line.send(head(304, {"ETag": '"1"'}) if unchanged else reply(b"new"))
        return True

    with Listener({"/x": answer, "/y": leading_to("/x"), "/z": head(304)}) as listener, visiting() as visitor:
        for etag, modified in (('"1"', ""), ("", "yesterday")):
            same = visitor.get(f"{listener.address}/x", etag=etag, last_modified=modified)
            assert (same.status, same.body) == (304, b"")
        assert visitor.get(f"{listener.address}/y", etag='"1"').status == 304
        assert visitor.get(f"{listener.address}/x", etag='"2"').body == b"new"
        assert listener.connections == 1
        with pytest.raises(ImageRefused, match="answered 304"):  # without having been asked for it
            visitor.get(f"{listener.address}/z")


def test_a_service_gives_its_refusals_too() -> None:
    answers = {"/x": reply(b"no such word", 400), "/robots.txt": reply(b"User-agent: *\nDisallow: /")}
    with Listener(answers) as listener, visiting() as visitor:
        answer = visitor.get(f"{listener.address}/x", kind="service", headers={"Authorization": "Bearer 1"})
        assert (answer.status, answer.body) == (400, b"no such word")
        assert [asked.path for asked in listener.log] == ["/x"]
        assert listener.log[0].headers["authorization"] == "Bearer 1"


def test_a_form_is_sent_once_and_to_nowhere_else() -> None:
    with Listener({"/token": reply(b"token")}) as other, visiting() as visitor:
        assert visitor.post(f"{other.address}/token", {"secret": "a b&c"}).body == b"token"
        assert other.log[0].body == b"secret=a+b%26c"
        assert other.log[0].headers["content-type"] == "application/x-www-form-urlencoded"
        leading = {"/token": leading_to(f"{other.address}/token", 307)}
        with Listener(leading) as listener, pytest.raises(ImageRefused, match="answered 307"):
            visitor.post(f"{listener.address}/token", {"secret": "1"})
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
def test_other_answers_are_refusals(status: int, why: SkipReason) -> None:
    with Listener({"/x": reply(b"" if status == 204 else b"sorry", status)}) as listener:
        refusal = refused(listener)
        assert refusal.why == why
        assert f"{listener.address}/x" in str(refusal)
        assert str(status) in str(refusal)


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(status: int) -> None:
    with Listener({"/y/2": reply(b"there")}) as other:
        with Listener(
            {"/x": leading_to("y/1", status), "/y/1": leading_to(f"{other.address}/y/2#z")}
        ) as first:
            with visiting() as visitor:
                answer = visitor.get(f"{first.address}/x", headers={"Authorization": "Bearer 1"})
            assert (answer.address, answer.body) == (f"{other.address}/y/2", b"there")
            assert first.log[-1].headers["authorization"] == "Bearer 1"
        assert [asked.path for asked in other.log] == ["/robots.txt", "/y/2"]
        assert "authorization" not in other.log[-1].headers, "what is for one site goes to no other"


def test_five_redirects_and_no_more() -> None:
    answers = {f"/{hop}": leading_to(f"/{hop + 1}") for hop in range(6)}
    with Listener({**answers, "/6": reply(b"there")}) as listener:
        with visiting() as visitor:
            assert visitor.get(f"{listener.address}/1").body == b"there"
        assert refused(listener, "/0").why == SkipReason.REDIRECTS


def test_a_circle_has_an_end() -> None:
    with Listener({"/x": leading_to("/y"), "/y": leading_to("/x")}) as listener:
        refusal = refused(listener)
        assert refusal.why == SkipReason.REDIRECTS
        assert "more than 5 redirects" in str(refusal)
        assert listener.paths == ["/x", "/y"] * 3


def test_every_hop_asks_the_rules_of_its_site() -> None:
    rules = reply(b"User-agent: *\nDisallow: /private/")
    with Listener({"/robots.txt": rules, "/private/x": reply(b"x")}) as other:
        with Listener({"/x": leading_to(f"{other.address}/private/x")}) as listener:
            refusal = refused(listener)
        assert refusal.why == SkipReason.ROBOTS
        assert f"{other.address}/robots.txt forbids it" in str(refusal)
        assert other.paths == []


# Sizes


@pytest.mark.parametrize("kind", ["picture", "page"])
def test_a_length_that_is_too_large_is_believed(kind: Any) -> None:
    with Listener({"/x": head(headers={"Content-Length": "50000001"})}) as listener:
        refusal = refused(listener, kind=kind)
        assert refusal.why == SkipReason.TOO_LARGE
        assert ("50 MB" if kind == "picture" else "10 MB") in str(refusal)


def endless(line: Line) -> None:
    while not line.ended.is_set():
        line.send(b"\0" * 65_536)


def endless_body(line: Line) -> None:
    line.send(head())
    endless(line)


def endless_chunks(line: Line) -> None:
    line.send(head(headers={"Transfer-Encoding": "chunked"}))
    while not line.ended.is_set():
        line.send(b"10000\r\n" + b"\0" * 65_536 + b"\r\n")


def one_endless_chunk(line: Line) -> None:
    line.send(head(headers={"Transfer-Encoding": "chunked"}) + b"ffffffffffffff\r\n")
    endless(line)


@pytest.mark.parametrize("answer", [endless_body, endless_chunks, one_endless_chunk])
def test_a_body_is_counted_while_it_comes(answer: Callable[[Line], None]) -> None:
    with Listener({"/x": answer}) as listener:
        refusal = refused(listener, max_bytes=1_000_000)
        assert refusal.why == SkipReason.TOO_LARGE
        assert "larger than 1 MB" in str(refusal)


def closing(answer: bytes) -> Callable[[Line], None]:
    """An answer behind which the connection is closed."""
    return lambda line: line.send(answer)


@pytest.mark.parametrize("way", ["length", "close", "chunks", "package"])
def test_a_body_may_be_as_large_as_the_limit(way: str) -> None:
    body = os.urandom(50_000) + bytes(50_000)
    answers: dict[str, Answering] = {
        "length": reply(body),
        "close": closing(head() + body),
        "chunks": chunked(body[:1], body[1:]),
        "package": reply(gzip.compress(body), headers={"Content-Encoding": "gzip"}),
    }
    with Listener({"/x": answers[way]}) as listener:
        with visiting() as visitor:
            assert visitor.get(f"{listener.address}/x", max_bytes=100_000).body == body
        assert refused(listener, max_bytes=99_999).why == SkipReason.TOO_LARGE


@pytest.mark.parametrize("packing", ["gzip", "deflate"])
def test_a_small_package_of_a_huge_body(packing: str) -> None:
    huge = bytes(80_000_000)
    packed = gzip.compress(huge) if packing == "gzip" else zlib.compress(huge)
    assert len(packed) < 100_000
    with Listener({"/x": reply(packed, headers={"Content-Encoding": packing})}) as listener:
        assert refused(listener, max_bytes=1_000_000).why == SkipReason.TOO_LARGE


def test_endless_packages_of_nothing() -> None:
    nothing = zlib.compressobj()
    start = nothing.compress(b"x") + nothing.flush(zlib.Z_FULL_FLUSH)

    def answer(line: Line) -> None:
        line.send(head(headers={"Content-Encoding": "deflate"}) + start)
        while not line.ended.is_set():
            line.send(b"\0\0\0\xff\xff" * 10_000)  # a block without content

    with Listener({"/x": answer}) as listener:
        assert refused(listener, max_bytes=1_000_000).why == SkipReason.TOO_LARGE


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
    with Listener(answers) as listener, visiting() as visitor:
        assert visitor.get(f"{listener.address}/x").body == BODY
        assert visitor.get(f"{listener.address}/chunks").body == BODY
        assert listener.connections == 1


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
    with Listener({"/x": reply(packed, headers={"Content-Encoding": packing})}) as listener:
        assert refused(listener).why == SkipReason.DAMAGED


def cut_short(line: Line) -> None:
    line.send(head(headers={"Content-Length": "1000"}) + b"only this")


def cut_short_in_pieces(line: Line) -> None:
    line.send(head(headers={"Transfer-Encoding": "chunked"}) + b"5\r\nonly this")


@pytest.mark.parametrize("answer", [cut_short, cut_short_in_pieces])
def test_a_body_that_ends_early(answer: Callable[[Line], None]) -> None:
    with Listener({"/x": answer}) as listener:
        refusal = refused(listener)
        assert refusal.why == SkipReason.UNREACHABLE
        assert "broke off" in str(refusal)


def test_more_than_was_said_is_not_read() -> None:
    answers = {"/x": reply(b"body", headers={"Content-Length": "2"}), "/y": reply(b"y")}
    with Listener(answers) as listener, visiting() as visitor:
        assert visitor.get(f"{listener.address}/x").body == b"bo"
        assert visitor.get(f"{listener.address}/y").body == b"y"


# Headers


def endless_header(line: Line) -> None:
    line.send(b"HTTP/1.1 200 OK\r\n")
    while not line.ended.is_set():
        line.send(b"X: " + b"x" * 4000 + b"\r\n")


def endless_header_line(line: Line) -> None:
    line.send(b"HTTP/1.1 200 OK\r\nX: ")
    while not line.ended.is_set():
        line.send(b"x" * 4000)


def endless_first_line(line: Line) -> None:
    while not line.ended.is_set():
        line.send(b"x" * 4000)


def endless_promises(line: Line) -> None:
    while not line.ended.is_set():
        line.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def endless_length_of_a_chunk(line: Line) -> None:
    line.send(head(headers={"Transfer-Encoding": "chunked"}))
    while not line.ended.is_set():
        line.send(b"0" * 4000)


@pytest.mark.parametrize(
    "answer",
    [endless_header, endless_header_line, endless_first_line, endless_promises, endless_length_of_a_chunk],
)
def test_floods_of_headers(answer: Callable[[Line], None]) -> None:
    with Listener({"/x": answer}) as listener:
        assert refused(listener).why in (SkipReason.TOO_LARGE, SkipReason.UNREACHABLE)


def test_a_header_as_large_as_the_limit() -> None:
    limits = Limits(header_bytes=10_000)
    for size, fits in ((9_800, True), (10_001, False)):
        with Listener({"/x": reply(b"x", headers={"X": "x" * size})}) as listener:
            if fits:
                with visiting(limits=limits) as visitor:
                    assert visitor.get(f"{listener.address}/x").body == b"x"
            else:
                assert "header is too large" in str(refused(listener, limits=limits))


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
    with Listener({"/x": closing(answer)}) as listener:
        refusal = refused(listener)
        assert refusal.why == SkipReason.UNREACHABLE
        assert str(refusal).isprintable()


# Times


def silence(line: Line) -> None:
    line.wait()


def dripping_header(line: Line) -> None:
    line.drip(reply(b"x", headers={"X": "x" * 1000}))


def dripping_body(line: Line) -> None:
    line.send(head(headers={"Content-Length": "1000"}))
    line.drip(b"x" * 1000)


def dripping_body_without_length(line: Line) -> None:
    line.send(head())
    line.drip(b"x" * 1000)


def dripping_chunks(line: Line) -> None:
    line.send(head(headers={"Transfer-Encoding": "chunked"}))
    line.drip(b"1\r\nx\r\n" * 1000)


def dripping_end(line: Line) -> None:
    line.send(head(headers={"Transfer-Encoding": "chunked"}) + b"1\r\nx\r\n0\r\n")
    while not line.ended.wait(0.01):
        line.send(b"X-Trailer: x\r\n")


def stopping_in_the_middle(line: Line) -> None:
    line.send(head(headers={"Content-Length": "1000"}) + b"x")
    line.wait()


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
def test_slow_answers_are_given_up(answer: Callable[[Line], None]) -> None:
    with Listener({"/x": answer}) as listener:
        refusal = refused(listener, limits=Limits(first_byte_s=0.3, total_s=0.6))
        assert refusal.why == SkipReason.SLOW
        assert "too slow" in str(refusal)
        assert listener.until(lambda listener: listener.open == 0)


def test_a_slow_look_up_is_given_up() -> None:
    ended = threading.Event()

    def resolve(*_what: Any, **_how: Any) -> list[Any]:
        ended.wait(120)
        return []

    with visiting(limits=SHORT, resolve=resolve) as visitor, pytest.raises(ImageRefused) as refusal:
        visitor.get("http://slow.example/x")
    ended.set()
    assert refusal.value.why == SkipReason.SLOW


# Connections


def test_connections_are_kept_and_used_again() -> None:
    with Listener({"/x": reply(b"x"), "/gone": reply(b"sorry", 404)}) as listener, visiting() as visitor:
        for _time in range(5):
            visitor.get(f"{listener.address}/x")
            with pytest.raises(ImageRefused):
                visitor.get(f"{listener.address}/gone")
        assert (listener.connections, len(listener.log)) == (1, 11)


def test_a_kept_connection_that_was_closed_is_made_anew() -> None:
    """The other side closes without a word, in the very moment in which it is asked again."""
    seen = 0

    def answer(line: Line) -> bool:
        nonlocal seen
        seen += 1
        if seen == 2:
            return False
        line.send(reply(b"x"))
        return True

    with Listener({"/x": answer}) as listener, visiting() as visitor:
        assert visitor.get(f"{listener.address}/x").body == b"x"
        assert visitor.get(f"{listener.address}/x").body == b"x"
        assert listener.connections == 2


def test_a_site_that_always_hangs_up_is_asked_once() -> None:
    with Listener({"/x": lambda _line: False, "/robots.txt": lambda _line: False}) as listener:
        assert refused(listener, kind="service").why == SkipReason.UNREACHABLE
        assert len(listener.log) == 1


def test_nobody_there() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))  # and does not listen
        with (
            visiting() as visitor,
            pytest.raises(ImageRefused, match="cannot be reached") as refusal,
        ):
            visitor.get(f"http://127.0.0.1:{holder.getsockname()[1]}/x")
    assert refusal.value.why == SkipReason.UNREACHABLE


def test_the_next_address_of_a_name_is_tried() -> None:
    with Listener({"/x": reply(b"x")}) as listener, socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))

        def resolve(*_what: Any, **how: Any) -> list[Any]:
            ports = (holder.getsockname()[1], listener.port)
            return [found for port in ports for found in socket.getaddrinfo("127.0.0.1", port, **how)]

        hosts = frozenset({"two.example"})
        with visiting(allowed_hosts=hosts, resolve=resolve) as visitor:
            assert visitor.get("http://two.example/x").body == b"x"


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
    with Listener({"/x": reply(b"x")}, context=encrypted()) as listener:

        def resolve(*_what: Any, **how: Any) -> list[Any]:
            return list(socket.getaddrinfo("127.0.0.1", listener.port, **how))

        with visiting(allowed_hosts=frozenset({host}), resolve=resolve) as visitor:
            if accepted:
                for _time in range(2):
                    assert visitor.get(f"https://{host}/x").body == b"x"
                assert listener.connections == 1
                return
            with pytest.raises(ImageRefused, match="certificate is not valid for it") as refusal:
                visitor.get(f"https://{host}/x")
            assert refusal.value.why == SkipReason.UNREACHABLE
            assert listener.log == []


@contextmanager
def silent() -> Iterator[socket.socket]:
    """A place that takes connections and never says a word."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        place.listen(8)
        yield place


def test_a_greeting_that_does_not_come() -> None:
    with silent() as place, visiting(limits=SHORT) as visitor, pytest.raises(ImageRefused) as refusal:
        visitor.get(f"https://127.0.0.1:{place.getsockname()[1]}/x")
    assert refusal.value.why == SkipReason.SLOW


# The end


def ends(visitor: Visitor, address: str, *, when: Callable[[], object], **asked: Any) -> None:
    """Assert that a request under way ends with VisitEnded when the visitor is closed."""
    came: queue.SimpleQueue[object] = queue.SimpleQueue()

    def ask() -> None:
        try:
            came.put(visitor.get(address, **asked))
        except BaseException as fault:
            came.put(fault)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    when()
    time.sleep(0.1)
    assert came.empty()
    visitor.close()
    assert isinstance(came.get(timeout=60), VisitEnded)
    with pytest.raises(VisitEnded):
        visitor.get(address)


@pytest.mark.parametrize("answer", SLOW)
def test_the_end_in_the_middle_of_an_answer(answer: Callable[[Line], None]) -> None:
    with Listener({"/x": answer}) as listener:
        ends(
            visiting(),
            f"{listener.address}/x",
            when=lambda: listener.until(lambda listener: "/x" in listener.paths),
        )
        assert listener.until(lambda listener: listener.open == 0), "no connection stays open"


def test_the_end_in_the_middle_of_a_greeting() -> None:
    lines: list[socket.socket] = []

    def greeted() -> None:
        lines.append(place.accept()[0])
        lines[0].settimeout(60)
        assert lines[0].recv(1)

    with silent() as place:
        ends(visiting(), f"https://127.0.0.1:{place.getsockname()[1]}/x", when=greeted)
        with lines[0]:
            while lines[0].recv(1000):  # until the connection's end
                pass


def test_the_end_while_a_name_is_looked_up() -> None:
    asked, ended = threading.Event(), threading.Event()

    def resolve(*_what: Any, **_how: Any) -> list[Any]:
        asked.set()
        ended.wait(120)
        return []

    ends(visiting(resolve=resolve), "http://slow.example/x", when=lambda: asked.wait(60))
    ended.set()


def test_the_end_while_a_site_rests() -> None:
    with Listener({"/x": reply(status=503, headers={"Retry-After": "30"})}) as listener:
        ends(
            visiting(),
            f"{listener.address}/x",
            when=lambda: listener.until(lambda listener: "/x" in listener.paths),
        )


def test_the_end_while_others_have_the_connections() -> None:
    with Listener({"/x": silence}) as listener, ThreadPoolExecutor(3) as pool:
        visitor = visiting(connections=2)
        waiting: list[Future[Answer]] = [
            pool.submit(visitor.get, f"{listener.address}/x", kind="service") for _each in range(3)
        ]
        assert listener.until(lambda listener: len(listener.log) == 2)
        visitor.close()
        for future in waiting:
            assert isinstance(future.exception(timeout=60), VisitEnded)
        assert len(listener.log) == 2


def test_the_end_while_connecting() -> None:
    """To a place that takes no more connections, and does not say so."""
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
        ends(visiting(), f"http://127.0.0.1:{full.getsockname()[1]}/x", when=lambda: None)
        with visiting(limits=Limits(first_byte_s=0.3)) as visitor, pytest.raises(ImageRefused) as refusal:
            visitor.get(f"http://127.0.0.1:{full.getsockname()[1]}/x")
        assert refusal.value.why == SkipReason.SLOW
        for filler in fillers:
            filler.close()


def test_the_end_closes_what_is_kept() -> None:
    with Listener({"/x": reply(b"x")}) as listener:
        visitor = visiting()
        visitor.get(f"{listener.address}/x")
        assert listener.open == 1
        visitor.close()
        visitor.close()
        assert listener.until(lambda listener: listener.open == 0)
