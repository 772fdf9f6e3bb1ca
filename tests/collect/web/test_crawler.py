"""The scheduler: sites in parallel, rate limits per site, breadth first."""

from collections import Counter

from studio.collect.web.frontier import FrontierItem
from studio.collect.web.scheduler import Scheduler


def images(site: str, count: int) -> list[FrontierItem]:
    return [FrontierItem(f"http://{site}/{number}.jpg", "picture") for number in range(count)]


def test_a_site_gets_no_more_than_its_connections() -> None:
    scheduler = Scheduler(2, lambda url: 0.0)
    for item in [*images("a.example", 5), *images("b.example", 5)]:
        scheduler.add(item)
    out = []
    while (asked := scheduler.next(pages=True, images=True)) is not None:
        out.append(asked)
    assert Counter(item.site for item in out) == {"a.example": 2, "b.example": 2}
    scheduler.finished(out[0])
    again = scheduler.next(pages=True, images=True)
    assert again is not None and again.site == out[0].site
    assert scheduler.next(pages=True, images=True) is None
    assert scheduler.images == 5


def test_a_delayed_site_is_skipped_until_it_is_ready() -> None:
    rest_s = {"a.example": 0.05, "b.example": 0.0}
    scheduler = Scheduler(2, lambda url: rest_s[url.split("/")[2]])
    for item in [*images("a.example", 1), *images("b.example", 1)]:
        scheduler.add(item)
    first = scheduler.next(pages=True, images=True)
    assert first is not None and first.site == "b.example"
    assert scheduler.next(pages=True, images=True) is None
    rest_s["a.example"] = 0.0
    while (second := scheduler.next(pages=True, images=True)) is None:
        pass
    assert second.site == "a.example"


def test_deeper_pages_wait_until_all_before_them_have_been_read() -> None:
    scheduler = Scheduler(2, lambda url: 0.0)
    for number in range(2):
        scheduler.add(FrontierItem(f"http://a.example/{number}", "page", 0))
    first, second = (scheduler.next(pages=True, images=True) for _n in range(2))
    assert first is not None and second is not None
    scheduler.add(FrontierItem("http://a.example/deep", "page", 2))
    scheduler.add(FrontierItem("http://a.example/near", "page", 1))
    scheduler.finished(first)
    scheduler.advance_depth()
    assert scheduler.next(pages=True, images=True) is None  # the second is still being read
    scheduler.finished(second)
    scheduler.advance_depth()
    near = scheduler.next(pages=True, images=True)
    assert near is not None and near.depth == 1
    assert scheduler.next(pages=True, images=True) is None
    scheduler.finished(near)
    scheduler.advance_depth()
    deep = scheduler.next(pages=True, images=True)
    assert deep is not None and deep.depth == 2


def test_unwanted_kinds_wait_and_can_be_drained() -> None:
    scheduler = Scheduler(2, lambda url: 0.0)
    scheduler.add(FrontierItem("http://a.example/", "page"))
    scheduler.add(FrontierItem("http://a.example/far", "page", 1))
    for item in images("a.example", 2):
        scheduler.add(item)
    assert scheduler.next(pages=False, images=False) is None
    page = scheduler.next(pages=True, images=False)
    assert page is not None and page.kind == "page"
    assert scheduler.next(pages=True, images=False) is None
    assert {item.url for item in scheduler.drain()} == {
        "http://a.example/far",
        "http://a.example/0.jpg",
        "http://a.example/1.jpg",
    }
    assert (scheduler.pages, scheduler.images) == (0, 0)
