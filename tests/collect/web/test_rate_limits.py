"""Rate limits, as the log of the server shows them."""

import math
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import chain, repeat
from typing import Any

import pytest

from studio.collect.web.fetcher import Fetcher, FetchLimits
from studio.collect.web.rate_limits import FetcherClosed, RateLimiter, parse_retry_after
from studio.errors import ImageRefused
from studio.images.skip_reasons import SkipReason
from tests.collect.web.loopback_server import LoopbackServer, ServerConnection, head, reply

AGENT = "retrain-studio/test (+test@example.org)"
LOOPBACK = frozenset({"127.0.0.1"})
EARLY_S = 0.5
"""How much too early a request may seem, since a busy machine logs some late."""
REST_S = 2.0


def make_fetcher(**made: Any) -> Fetcher:
    return Fetcher(**{"agent": AGENT, "allowed_hosts": LOOPBACK, "delay_s": 0, **made})


def fetch_all(fetcher: Fetcher, urls: list[str], threads: int = 12) -> list[bytes | ImageRefused]:
    def ask(url: str) -> bytes | ImageRefused:
        try:
            return fetcher.get(url).body
        except ImageRefused as refusal:
            return refusal

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(ask, urls))


def in_turn(*answers: bytes) -> Any:
    """Return a reply that sends these answers in turn, and the last one again and again."""
    left = chain(answers[:-1], repeat(answers[-1]))
    lock = threading.Lock()

    def answer(connection: ServerConnection) -> bool:
        with lock:
            now = next(left)
        connection.send(now)
        return True

    return answer


def busy(retry_after: str = "", status: int = 429) -> bytes:
    return reply(b"not now", status, {"Retry-After": retry_after} if retry_after else {})


def allowed_after(robots: bytes = b"") -> dict[str, bytes]:
    return {"/robots.txt": reply(robots)}


@contextmanager
def slow_site(seconds: float = 0.05) -> Iterator[LoopbackServer]:
    def answer(connection: ServerConnection) -> bool:
        connection.send(head(headers={"Content-Length": "2"}) + b"o")
        time.sleep(seconds)  # the turn is held until the body has come
        connection.send(b"k")
        return True

    with LoopbackServer({f"/{number}": answer for number in range(12)}) as server:
        yield server


@pytest.mark.parametrize("connections", [1, 2, 4])
def test_a_site_gets_no_more_connections_than_set(connections: int) -> None:
    with slow_site() as server, make_fetcher(connections=connections) as fetcher:
        bodies = fetch_all(fetcher, [f"{server.url}/{number}" for number in range(12)])
        assert bodies == [b"ok"] * 12
        assert server.most_at_once == connections
        assert server.connections <= connections


def test_sites_are_requested_concurrently() -> None:
    met = threading.Barrier(3, timeout=60)

    def answer(connection: ServerConnection) -> bool:
        met.wait()  # passes only when all three have been asked
        connection.send(reply(b"x"))
        return True

    with (
        LoopbackServer({"/x": answer}) as first,
        LoopbackServer({"/x": answer}) as second,
        LoopbackServer({"/x": answer}) as third,
    ):
        urls = [f"{server.url}/x" for server in (first, second, third)]
        with make_fetcher(connections=1) as fetcher:
            assert fetch_all(fetcher, urls) == [b"x"] * 3


def test_the_delay_is_kept_and_counts_robots_txt() -> None:
    with LoopbackServer({f"/{number}": reply(b"x") for number in range(3)}) as server:
        with make_fetcher(delay_s=1) as fetcher:
            fetch_all(fetcher, [f"{server.url}/{number}" for number in range(3)])
        assert server.log[0].path == "/robots.txt"
        assert len(server.log) == 4
        assert min(server.gaps()) >= 1 - EARLY_S


def test_the_delay_of_robots_txt_is_kept_where_it_is_longer() -> None:
    robots = b"User-agent: *\nCrawl-delay: 1\n\nUser-agent: other\nCrawl-delay: 50"
    with LoopbackServer({**allowed_after(robots), "/1": reply(b"1"), "/2": reply(b"2")}) as server:
        with make_fetcher(delay_s=0.1) as fetcher:
            fetch_all(fetcher, [f"{server.url}/1", f"{server.url}/2"])
        assert len(server.log) == 3
        assert min(server.gaps()) >= 1 - EARLY_S


def test_a_shorter_delay_of_robots_txt_changes_nothing() -> None:
    with LoopbackServer({**allowed_after(b"User-agent: *\nCrawl-delay: 0.1"), "/1": reply(b"1")}) as server:
        with make_fetcher(delay_s=1) as fetcher:
            fetcher.get(f"{server.url}/1")
        assert min(server.gaps()) >= 1 - EARLY_S


def test_a_longer_delay_than_a_minute_is_shortened() -> None:
    robots = b"User-agent: *\nCrawl-delay: 3600"
    with LoopbackServer({**allowed_after(robots), "/1": reply(b"1")}) as server:
        fetcher = make_fetcher()
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(fetcher.get, f"{server.url}/1")
            assert server.until(lambda _listener: fetcher.seconds_until_ready(f"{server.url}/1") > 50)
            assert fetcher.seconds_until_ready(f"{server.url}/1") <= 60
            fetcher.close()
            assert isinstance(asked.exception(), FetcherClosed)
        assert server.paths == []


@pytest.mark.parametrize(("status", "message"), [(429, "1"), (503, "1"), (429, ""), (503, "soon")])
def test_a_busy_site_is_retried_after_a_pause(status: int, message: str) -> None:
    with LoopbackServer({"/x": in_turn(busy(message, status), reply(b"x"))}) as server:
        with make_fetcher() as fetcher:
            assert fetcher.get(f"{server.url}/x").body == b"x"
        assert server.paths == ["/x", "/x"]
        assert server.gaps()[-1] >= 1 - EARLY_S


def test_retry_after_as_a_date() -> None:
    def answer(connection: ServerConnection) -> bool:
        if server.paths == ["/x"]:
            until = datetime.now(UTC) + timedelta(seconds=3)
            connection.send(busy(format_datetime(until, usegmt=True)))
        else:
            connection.send(reply(b"x"))
        return True

    with LoopbackServer({"/x": answer}) as server:
        with make_fetcher() as fetcher:
            assert fetcher.get(f"{server.url}/x").body == b"x"
        assert server.gaps()[-1] >= 1 - EARLY_S  # the date has no parts of seconds, and 3 s are at least 2


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 0),
        (" 120 ", 120),
        ("9" * 400, 999_999_999),
        ("Fri, 02 Jan 2026 03:05:05 GMT", 60),
        ("Fri, 02 Jan 2026 03:05:05", 60),
        ("Fri, 02 Jan 2026 05:05:05 +0200", 60),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
        ("\xb2", None),
        ("Wed, 99 Xyz 2026 99:99:99 GMT", None),
    ],
)
def test_what_retry_after_says(value: str, expected: float | None) -> None:
    assert parse_retry_after(value, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == expected


def test_pauses_double_where_the_site_asks_for_none() -> None:
    limiter = RateLimiter(1, 0, tries=10, longest_wait_s=60)
    assert [limiter.record_busy("example.org", math.inf, None) for _time in range(5)] == [1, 2, 4, 8, 16]
    assert limiter.record_busy("example.org", math.inf, 3) == 3
    assert 15 < limiter.seconds_until_ready("example.org") <= 16, "a shorter pause does not end a longer one"
    limiter.record_success("example.org", math.inf)
    assert limiter.record_busy("example.org", math.inf, None) == 1


def test_a_pause_is_for_the_whole_site() -> None:
    with LoopbackServer({"/x": in_turn(busy("1"), reply(b"x")), "/y": reply(b"y")}) as server:
        with make_fetcher() as fetcher, ThreadPoolExecutor(1) as pool:
            first = pool.submit(fetcher.get, f"{server.url}/x")
            assert server.until(lambda server: server.paths == ["/x"])
            assert server.until(lambda _listener: fetcher.seconds_until_ready(f"{server.url}/y") > 0)
            assert fetcher.get(f"{server.url}/y").body == b"y"
            assert first.result().body == b"x"
        asked = {asked.path: asked.at for asked in reversed(server.log)}
        assert asked["/y"] - asked["/x"] >= 1 - EARLY_S


def test_a_long_wait_is_not_waited_for_and_the_site_is_left_alone() -> None:
    with LoopbackServer({"/x": busy("3600"), "/y": reply(b"y")}) as server:
        with make_fetcher() as fetcher:
            for path in ("/x", "/y"):
                with pytest.raises(
                    ImageRefused, match=r"too busy: it is to be left alone for 3,600 s"
                ) as refusal:
                    fetcher.get(f"{server.url}{path}")
                assert refusal.value.skip_reason == SkipReason.BUSY
                assert server.site in str(refusal.value)
                assert fetcher.seconds_until_ready(f"{server.url}{path}") == 0, "it is refused at once"
        assert server.paths == ["/x"]


def test_a_site_that_stays_busy_is_suspended_and_then_used_again() -> None:
    limits = FetchLimits(tries=3, longest_wait_s=REST_S)
    answer = in_turn(busy("0"), busy("0"), busy("0"), reply(b"x"))
    with LoopbackServer({"/x": answer}) as server, make_fetcher(limits=limits) as fetcher:
        for _time in range(3):
            with pytest.raises(ImageRefused, match="left alone") as refusal:
                fetcher.get(f"{server.url}/x")
            assert refusal.value.skip_reason == SkipReason.BUSY
        assert server.paths == ["/x"] * 3, "three tries, and none while it rests"
        time.sleep(1.1 * REST_S)
        assert fetcher.get(f"{server.url}/x").body == b"x"


def test_a_site_that_is_still_busy_after_its_suspension_is_tried_once() -> None:
    limits = FetchLimits(tries=3, longest_wait_s=REST_S)
    with LoopbackServer({"/x": busy("0")}) as server, make_fetcher(limits=limits) as fetcher:
        for _time in range(2):
            with pytest.raises(ImageRefused):
                fetcher.get(f"{server.url}/x")
            time.sleep(1.1 * REST_S)
        assert server.paths == ["/x"] * 4


def test_all_waiting_for_a_suspended_site_fail_at_once() -> None:
    with LoopbackServer({f"/{number}": busy("100") for number in range(30)}) as server:
        with make_fetcher(connections=2) as fetcher:
            came = fetch_all(fetcher, [f"{server.url}/{number}" for number in range(30)])
        refusals = [refusal for refusal in came if isinstance(refusal, ImageRefused)]
        assert {refusal.skip_reason for refusal in refusals} == {SkipReason.BUSY}
        assert len(came) == 30
        assert len(server.paths) <= 2


def test_a_url_that_is_always_busy_is_given_up() -> None:
    """While other URLs of the site are answered, so that it is not suspended."""
    with LoopbackServer({"/x": busy("0"), "/y": reply(b"y")}) as server:
        ended = threading.Event()
        with (
            make_fetcher(connections=1, limits=FetchLimits(tries=3)) as fetcher,
            ThreadPoolExecutor(1) as pool,
        ):

            def ask_another() -> None:
                while not ended.is_set():
                    fetcher.get(f"{server.url}/y")

            others = pool.submit(ask_another)
            try:
                assert server.until(lambda server: "/y" in server.paths)
                with pytest.raises(ImageRefused) as refusal:
                    fetcher.get(f"{server.url}/x")
            finally:
                ended.set()
            others.result()
        assert refusal.value.skip_reason == SkipReason.BUSY
        assert server.paths.count("/x") == 3


def test_slots_are_given_in_the_order_of_the_requests() -> None:
    limiter = RateLimiter(1, 0, tries=4, longest_wait_s=60)
    order: list[int] = []

    def take(number: int) -> None:
        with limiter.slot("example.org"):
            order.append(number)

    with ThreadPoolExecutor(8) as pool, limiter.slot("example.org"):
        for number in range(8):
            pool.submit(take, number)
            while len(limiter._sites["example.org"].queue) <= number:
                time.sleep(0.001)
        assert order == []
    assert order == list(range(8))


def test_several_busy_answers_at_once_count_as_one() -> None:
    limiter = RateLimiter(2, 0, tries=2, longest_wait_s=60)
    with limiter.slot("example.org") as first, limiter.slot("example.org") as second:
        assert limiter.record_busy("example.org", first, 0) == 0
        assert limiter.record_busy("example.org", second, 0) == 0
    with limiter.slot("example.org") as third:
        limiter.record_busy("example.org", third, 0)
    with pytest.raises(ImageRefused), limiter.slot("example.org"):
        pass


def test_seconds_until_ready_follows_delay_and_connections() -> None:
    limiter = RateLimiter(2, 10, tries=4, longest_wait_s=60)
    assert limiter.seconds_until_ready("example.org") == 0
    with limiter.slot("example.org"):
        assert 9 < limiter.seconds_until_ready("example.org") <= 10
    limiter.set_min_delay("example.org", 20)
    assert 19 < limiter.seconds_until_ready("example.org") <= 20
    limiter.set_min_delay("example.org", 5)
    assert 19 < limiter.seconds_until_ready("example.org") <= 20
    assert limiter.seconds_until_ready("example.com") == 0


def test_a_site_with_no_free_connection_is_not_ready() -> None:
    limiter = RateLimiter(1, 0, tries=4, longest_wait_s=60)
    with limiter.slot("example.org"):
        assert limiter.seconds_until_ready("example.org") > 0
    assert limiter.seconds_until_ready("example.org") == 0
