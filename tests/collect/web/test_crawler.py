"""Whose turn it is: sites in parallel, each gently, the nearest pages first."""

from collections import Counter

from studio.collect.web.crawler import Turns
from studio.collect.web.frontier import Target


def images(site: str, count: int) -> list[Target]:
    return [Target(f"http://{site}/{number}.jpg", "picture") for number in range(count)]


def test_one_site_gets_no_more_than_its_connections_and_the_others_their_turn() -> None:
    turns = Turns(2, lambda address: 0.0)
    for target in [*images("a.example", 5), *images("b.example", 5)]:
        turns.add(target)
    out = []
    while (asked := turns.next(pages=True, images=True)) is not None:
        out.append(asked)
    assert Counter(target.site for target in out) == {"a.example": 2, "b.example": 2}
    turns.back(out[0])
    again = turns.next(pages=True, images=True)
    assert again is not None and again.site == out[0].site
    assert turns.next(pages=True, images=True) is None
    assert turns.images == 5


def test_a_site_that_rests_is_passed_over_until_it_may_be_asked() -> None:
    rest_s = {"a.example": 0.05, "b.example": 0.0}
    turns = Turns(2, lambda address: rest_s[address.split("/")[2]])
    for target in [*images("a.example", 1), *images("b.example", 1)]:
        turns.add(target)
    first = turns.next(pages=True, images=True)
    assert first is not None and first.site == "b.example"
    assert turns.next(pages=True, images=True) is None
    rest_s["a.example"] = 0.0
    while (second := turns.next(pages=True, images=True)) is None:
        pass
    assert second.site == "a.example"


def test_deeper_pages_wait_until_all_before_them_have_been_read() -> None:
    turns = Turns(2, lambda address: 0.0)
    for number in range(2):
        turns.add(Target(f"http://a.example/{number}", "page", 0))
    first, second = (turns.next(pages=True, images=True) for _n in range(2))
    assert first is not None and second is not None
    turns.add(Target("http://a.example/deep", "page", 2))
    turns.add(Target("http://a.example/near", "page", 1))
    turns.back(first)
    turns.go_deeper()
    assert turns.next(pages=True, images=True) is None  # the second is still being read
    turns.back(second)
    turns.go_deeper()
    near = turns.next(pages=True, images=True)
    assert near is not None and near.depth == 1
    assert turns.next(pages=True, images=True) is None
    turns.back(near)
    turns.go_deeper()
    deep = turns.next(pages=True, images=True)
    assert deep is not None and deep.depth == 2


def test_what_may_not_be_asked_for_now_waits_and_can_be_given_up() -> None:
    turns = Turns(2, lambda address: 0.0)
    turns.add(Target("http://a.example/", "page"))
    turns.add(Target("http://a.example/far", "page", 1))
    for target in images("a.example", 2):
        turns.add(target)
    assert turns.next(pages=False, images=False) is None
    page = turns.next(pages=True, images=False)
    assert page is not None and page.kind == "page"
    assert turns.next(pages=True, images=False) is None
    assert {target.address for target in turns.drain()} == {
        "http://a.example/far",
        "http://a.example/0.jpg",
        "http://a.example/1.jpg",
    }
    assert (turns.pages, turns.images) == (0, 0)
