"""How gently a site is asked, as the site's own log shows it."""

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

from studio.collect.web.fetcher import Limits, Visitor
from studio.collect.web.rate_limits import Manners, VisitEnded, retry_after
from studio.errors import ImageRefused
from studio.images.reasons import SkipReason
from tests.collect.web.listener import Line, Listener, head, reply

AGENT = "retrain-studio/test (+test@example.org)"
LOOPBACK = frozenset({"127.0.0.1"})
EARLY_S = 0.5
"""How much earlier than asked a request may seem to come: a busy machine notes some late."""
REST_S = 2.0


def visiting(**made: Any) -> Visitor:
    return Visitor(**{"agent": AGENT, "allowed_hosts": LOOPBACK, "delay_s": 0, **made})


def asking(visitor: Visitor, addresses: list[str], threads: int = 12) -> list[bytes | ImageRefused]:
    def ask(address: str) -> bytes | ImageRefused:
        try:
            return visitor.get(address).body
        except ImageRefused as refusal:
            return refusal

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(ask, addresses))


def several(*answers: bytes) -> Any:
    """These answers one after the other, the last again and again."""
    left = chain(answers[:-1], repeat(answers[-1]))
    lock = threading.Lock()

    def answer(line: Line) -> bool:
        with lock:
            now = next(left)
        line.send(now)
        return True

    return answer


def busy(retry_after: str = "", status: int = 429) -> bytes:
    return reply(b"not now", status, {"Retry-After": retry_after} if retry_after else {})


def allowed_after(robots: bytes = b"") -> dict[str, bytes]:
    return {"/robots.txt": reply(robots)}


@contextmanager
def slow_site(seconds: float = 0.05) -> Iterator[Listener]:
    def answer(line: Line) -> bool:
        line.send(head(headers={"Content-Length": "2"}) + b"o")
        time.sleep(seconds)  # the turn is held until the body has come
        line.send(b"k")
        return True

    with Listener({f"/{number}": answer for number in range(12)}) as listener:
        yield listener


@pytest.mark.parametrize("connections", [1, 2, 4])
def test_a_site_gets_no_more_connections_than_set(connections: int) -> None:
    with slow_site() as listener, visiting(connections=connections) as visitor:
        bodies = asking(visitor, [f"{listener.address}/{number}" for number in range(12)])
        assert bodies == [b"ok"] * 12
        assert listener.most_at_once == connections
        assert listener.connections <= connections


def test_sites_are_asked_at_the_same_time() -> None:
    met = threading.Barrier(3, timeout=60)

    def answer(line: Line) -> bool:
        met.wait()  # passes only when all three have been asked
        line.send(reply(b"x"))
        return True

    with (
        Listener({"/x": answer}) as first,
        Listener({"/x": answer}) as second,
        Listener({"/x": answer}) as third,
    ):
        addresses = [f"{listener.address}/x" for listener in (first, second, third)]
        with visiting(connections=1) as visitor:
            assert asking(visitor, addresses) == [b"x"] * 3


def test_the_delay_is_kept_and_counts_robots_txt() -> None:
    with Listener({f"/{number}": reply(b"x") for number in range(3)}) as listener:
        with visiting(delay_s=1) as visitor:
            asking(visitor, [f"{listener.address}/{number}" for number in range(3)])
        assert listener.log[0].path == "/robots.txt"
        assert len(listener.log) == 4
        assert min(listener.gaps()) >= 1 - EARLY_S


def test_the_delay_of_robots_txt_is_kept_where_it_is_longer() -> None:
    robots = b"User-agent: *\nCrawl-delay: 1\n\nUser-agent: other\nCrawl-delay: 50"
    with Listener({**allowed_after(robots), "/1": reply(b"1"), "/2": reply(b"2")}) as listener:
        with visiting(delay_s=0.1) as visitor:
            asking(visitor, [f"{listener.address}/1", f"{listener.address}/2"])
        assert len(listener.log) == 3
        assert min(listener.gaps()) >= 1 - EARLY_S


def test_a_shorter_delay_of_robots_txt_changes_nothing() -> None:
    with Listener({**allowed_after(b"User-agent: *\nCrawl-delay: 0.1"), "/1": reply(b"1")}) as listener:
        with visiting(delay_s=1) as visitor:
            visitor.get(f"{listener.address}/1")
        assert min(listener.gaps()) >= 1 - EARLY_S


def test_a_longer_delay_than_a_minute_is_shortened() -> None:
    robots = b"User-agent: *\nCrawl-delay: 3600"
    with Listener({**allowed_after(robots), "/1": reply(b"1")}) as listener:
        visitor = visiting()
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(visitor.get, f"{listener.address}/1")
            assert listener.until(lambda _listener: visitor.ready_in(f"{listener.address}/1") > 50)
            assert visitor.ready_in(f"{listener.address}/1") <= 60
            visitor.close()
            assert isinstance(asked.exception(), VisitEnded)
        assert listener.paths == []


@pytest.mark.parametrize(("status", "said"), [(429, "1"), (503, "1"), (429, ""), (503, "soon")])
def test_a_busy_site_is_asked_again_after_a_pause(status: int, said: str) -> None:
    with Listener({"/x": several(busy(said, status), reply(b"x"))}) as listener:
        with visiting() as visitor:
            assert visitor.get(f"{listener.address}/x").body == b"x"
        assert listener.paths == ["/x", "/x"]
        assert listener.gaps()[-1] >= 1 - EARLY_S


def test_retry_after_as_a_date() -> None:
    def answer(line: Line) -> bool:
        if listener.paths == ["/x"]:
            until = datetime.now(UTC) + timedelta(seconds=3)
            line.send(busy(format_datetime(until, usegmt=True)))
        else:
            line.send(reply(b"x"))
        return True

    with Listener({"/x": answer}) as listener:
        with visiting() as visitor:
            assert visitor.get(f"{listener.address}/x").body == b"x"
        assert listener.gaps()[-1] >= 1 - EARLY_S  # the date has no parts of seconds, and 3 s are at least 2


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
    assert retry_after(value, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == expected


def test_pauses_double_where_the_site_asks_for_none() -> None:
    manners = Manners(1, 0, tries=10, longest_wait_s=60)
    assert [manners.busy("example.org", math.inf, None) for _time in range(5)] == [1, 2, 4, 8, 16]
    assert manners.busy("example.org", math.inf, 3) == 3
    assert 15 < manners.ready_in("example.org") <= 16, "a shorter pause does not end a longer one"
    manners.answered("example.org", math.inf)
    assert manners.busy("example.org", math.inf, None) == 1


def test_a_pause_is_for_the_whole_site() -> None:
    with Listener({"/x": several(busy("1"), reply(b"x")), "/y": reply(b"y")}) as listener:
        with visiting() as visitor, ThreadPoolExecutor(1) as pool:
            first = pool.submit(visitor.get, f"{listener.address}/x")
            assert listener.until(lambda listener: listener.paths == ["/x"])
            assert listener.until(lambda _listener: visitor.ready_in(f"{listener.address}/y") > 0)
            assert visitor.get(f"{listener.address}/y").body == b"y"
            assert first.result().body == b"x"
        asked = {asked.path: asked.at for asked in reversed(listener.log)}
        assert asked["/y"] - asked["/x"] >= 1 - EARLY_S


def test_a_long_wait_is_not_waited_for_and_the_site_is_left_alone() -> None:
    with Listener({"/x": busy("3600"), "/y": reply(b"y")}) as listener:
        with visiting() as visitor:
            for path in ("/x", "/y"):
                with pytest.raises(
                    ImageRefused, match=r"too busy: it is to be left alone for 3,600 s"
                ) as refusal:
                    visitor.get(f"{listener.address}{path}")
                assert refusal.value.why == SkipReason.BUSY
                assert listener.site in str(refusal.value)
                assert visitor.ready_in(f"{listener.address}{path}") == 0, "it is refused at once"
        assert listener.paths == ["/x"]


def test_a_site_that_stays_busy_rests_and_may_then_be_asked_again() -> None:
    limits = Limits(tries=3, longest_wait_s=REST_S)
    answer = several(busy("0"), busy("0"), busy("0"), reply(b"x"))
    with Listener({"/x": answer}) as listener, visiting(limits=limits) as visitor:
        for _time in range(3):
            with pytest.raises(ImageRefused, match="left alone") as refusal:
                visitor.get(f"{listener.address}/x")
            assert refusal.value.why == SkipReason.BUSY
        assert listener.paths == ["/x"] * 3, "three tries, and none while it rests"
        time.sleep(1.1 * REST_S)
        assert visitor.get(f"{listener.address}/x").body == b"x"


def test_a_site_that_is_still_busy_after_its_rest_is_tried_once() -> None:
    limits = Limits(tries=3, longest_wait_s=REST_S)
    with Listener({"/x": busy("0")}) as listener, visiting(limits=limits) as visitor:
        for _time in range(2):
            with pytest.raises(ImageRefused):
                visitor.get(f"{listener.address}/x")
            time.sleep(1.1 * REST_S)
        assert listener.paths == ["/x"] * 4


def test_many_who_wait_for_a_site_that_rests_are_refused_at_once() -> None:
    with Listener({f"/{number}": busy("100") for number in range(30)}) as listener:
        with visiting(connections=2) as visitor:
            came = asking(visitor, [f"{listener.address}/{number}" for number in range(30)])
        assert {refusal.why for refusal in came if isinstance(refusal, ImageRefused)} == {SkipReason.BUSY}
        assert len(came) == 30
        assert len(listener.paths) <= 2


def test_one_address_that_is_always_busy_is_given_up() -> None:
    """While others of its site are answered, so that the site does not rest."""
    with Listener({"/x": busy("0"), "/y": reply(b"y")}) as listener:
        ended = threading.Event()
        with visiting(connections=1, limits=Limits(tries=3)) as visitor, ThreadPoolExecutor(1) as pool:

            def ask_another() -> None:
                while not ended.is_set():
                    visitor.get(f"{listener.address}/y")

            others = pool.submit(ask_another)
            try:
                assert listener.until(lambda listener: "/y" in listener.paths)
                with pytest.raises(ImageRefused) as refusal:
                    visitor.get(f"{listener.address}/x")
            finally:
                ended.set()
            others.result()
        assert refusal.value.why == SkipReason.BUSY
        assert listener.paths.count("/x") == 3


def test_turns_come_in_the_order_in_which_they_were_asked_for() -> None:
    manners = Manners(1, 0, tries=4, longest_wait_s=60)
    order: list[int] = []

    def take(number: int) -> None:
        with manners.turn("example.org"):
            order.append(number)

    with ThreadPoolExecutor(8) as pool, manners.turn("example.org"):
        for number in range(8):
            pool.submit(take, number)
            while len(manners._sites["example.org"].queue) <= number:
                time.sleep(0.001)
        assert order == []
    assert order == list(range(8))


def test_several_busy_answers_at_once_count_as_one() -> None:
    manners = Manners(2, 0, tries=2, longest_wait_s=60)
    with manners.turn("example.org") as first, manners.turn("example.org") as second:
        assert manners.busy("example.org", first, 0) == 0
        assert manners.busy("example.org", second, 0) == 0
    with manners.turn("example.org") as third:
        manners.busy("example.org", third, 0)
    with pytest.raises(ImageRefused), manners.turn("example.org"):
        pass


def test_ready_in_tells_when_a_site_may_be_asked() -> None:
    manners = Manners(2, 10, tries=4, longest_wait_s=60)
    assert manners.ready_in("example.org") == 0
    with manners.turn("example.org"):
        assert 9 < manners.ready_in("example.org") <= 10
    manners.slow_down("example.org", 20)
    assert 19 < manners.ready_in("example.org") <= 20
    manners.slow_down("example.org", 5)
    assert 19 < manners.ready_in("example.org") <= 20
    assert manners.ready_in("example.com") == 0


def test_a_site_with_no_free_connection_is_not_ready() -> None:
    manners = Manners(1, 0, tries=4, longest_wait_s=60)
    with manners.turn("example.org"):
        assert manners.ready_in("example.org") > 0
    assert manners.ready_in("example.org") == 0
