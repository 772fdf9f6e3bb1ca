"""Openverse, asked as a stranger and with a key."""

from collections.abc import Iterator

import pytest

from studio.collect.web.fetcher import Visitor
from studio.collect.web.openverse import Openverse
from studio.collect.web.service import Hit
from studio.errors import SearchFailed
from tests.collect.web.service_stand_ins import OpenverseStandIn, openverse_result

KEY = ("a client", "a+secret&with=signs")
RESULTS = [openverse_result(number) for number in range(50)]


@pytest.fixture
def visitor() -> Iterator[Visitor]:
    with Visitor(
        agent="retrain-studio/1 (+test@example.org)", allowed_hosts=frozenset({"127.0.0.1"}), delay_s=0
    ) as visitor:
        yield visitor


def find(
    visitor: Visitor,
    service: OpenverseStandIn,
    words: str = "rose",
    *,
    licences: frozenset[str] = frozenset(),
    min_side_px: int = 0,
    key: tuple[str, str] = ("", ""),
) -> Iterator[Hit]:
    return Openverse(visitor, service.address, *key).find(words, licences=licences, min_side_px=min_side_px)


def test_a_hit_has_its_provenance(visitor: Visitor) -> None:
    with OpenverseStandIn({"wild rose": [openverse_result(7)]}) as service:
        (hit,) = find(visitor, service, "wild rose")
    assert hit.address == f"{service.address}/pictures/7.jpg"
    assert hit.preview_address == f"{service.address}/v1/images/picture-7/thumb/"
    assert (hit.width_px, hit.height_px, hit.phrase) == (320, 240, "wild rose")
    provenance = hit.provenance
    assert provenance.page_address == "https://photos.example.org/7"
    assert (provenance.title, provenance.creator, provenance.licence) == ("Image 7", "Creator 7", "CC BY 2.0")
    assert provenance.licence_address == "https://creativecommons.org/licenses/by/2.0/"


def test_a_stranger_asks_pages_of_twenty_to_the_last_and_no_more(visitor: Visitor) -> None:
    with OpenverseStandIn({"rose": RESULTS}) as service:
        hits = list(find(visitor, service))
    assert [hit.provenance.title for hit in hits] == [f"Image {number}" for number in range(50)]
    assert [search.query for search in service.searches] == [
        {"q": "rose", "page_size": "20", "page": page} for page in ("1", "2", "3")
    ]


def test_no_page_is_asked_for_before_it_is_needed(visitor: Visitor) -> None:
    with OpenverseStandIn({"rose": RESULTS}) as service:
        hits = find(visitor, service)
        for _hit in range(20):
            next(hits)
        assert len(service.searches) == 1
        next(hits)
        assert len(service.searches) == 2


def test_no_page_after_the_twentieth(visitor: Visitor) -> None:
    many = [openverse_result(number) for number in range(450)]
    with OpenverseStandIn({"rose": many}) as service:
        assert len(list(find(visitor, service))) == 400
    assert [search.query["page"] for search in service.searches] == [str(page) for page in range(1, 21)]


def test_shown_less_deep_than_said_is_an_end_and_no_fault(visitor: Visitor) -> None:
    with OpenverseStandIn({"rose": RESULTS}, depth=40) as service:
        assert len(list(find(visitor, service))) == 40
    assert len(service.searches) == 3


def test_a_key_buys_a_token_once_and_larger_pages(visitor: Visitor) -> None:
    with OpenverseStandIn({"rose": RESULTS}, key=KEY, allowance=0) as service:
        assert len(list(find(visitor, service, key=KEY))) == 50
    assert [(request.method, request.path) for request in service.log] == [
        ("POST", "/v1/auth_tokens/token/"),
        ("GET", "/v1/images/"),
        ("GET", "/v1/images/"),
    ]
    assert {search.headers["authorization"] for search in service.searches} == {"Bearer token-1"}
    assert {search.query["page_size"] for search in service.searches} == {"48"}


def test_a_token_that_has_run_out_is_fetched_anew(visitor: Visitor) -> None:
    with OpenverseStandIn({"rose": RESULTS}, key=KEY) as service:
        hits = find(visitor, service, key=KEY)
        next(hits)
        service.tokens.clear()
        assert len(list(hits)) == 49
    assert [search.headers["authorization"] for search in service.searches] == [
        "Bearer token-1",
        "Bearer token-1",
        "Bearer token-2",
    ]


def test_a_wrong_key_is_said_and_not_searched_with(visitor: Visitor) -> None:
    with OpenverseStandIn({"rose": RESULTS}, key=KEY) as service:
        with pytest.raises(SearchFailed, match="STUDIO_OPENVERSE_ID and STUDIO_OPENVERSE_SECRET"):
            next(find(visitor, service, key=("a client", "another secret")))
        assert service.searches == []


def test_too_many_requests_come_to_a_sentence_after_what_was_found(visitor: Visitor) -> None:
    with OpenverseStandIn({"rose": RESULTS}, allowance=2) as service:
        hits = find(visitor, service)
        assert len([next(hits) for _hit in range(40)]) == 40
        with pytest.raises(SearchFailed, match=r"5 requests an hour and 100 a day.*STUDIO_OPENVERSE_ID"):
            next(hits)


def test_licences_are_asked_for(visitor: Visitor) -> None:
    free = [openverse_result(1, license="cc0", license_version="1.0", license_url=None), *RESULTS[2:4]]
    with OpenverseStandIn({"rose": free}) as service:
        (hit,) = find(visitor, service, licences=frozenset({"pdm", "cc0"}))
    assert service.searches[0].query["license"] == "cc0,pdm"
    assert hit.provenance.licence == "CC0 1.0"


@pytest.mark.parametrize(
    ("min_side_px", "sizes"), [(100, None), (554, None), (555, "medium,large"), (1200, "large")]
)
def test_sizes_are_asked_for_where_that_leaves_nothing_out(
    visitor: Visitor, min_side_px: int, sizes: str | None
) -> None:
    results = [
        openverse_result(1, width=2000, height=1300),
        openverse_result(2, width=2000, height=min_side_px - 1),
        openverse_result(3, width=None, height=None),
    ]
    with OpenverseStandIn({"rose": results}) as service:
        hits = list(find(visitor, service, min_side_px=min_side_px))
    assert service.searches[0].query.get("size") == sizes
    # One whose size is unknown may be large enough: that is seen when it comes.
    assert [hit.provenance.title for hit in hits] == ["Image 1", "Image 3"]


def test_fields_may_be_missing_null_or_of_another_kind(visitor: Visitor) -> None:
    odd = [
        openverse_result(
            1, creator=..., title=None, width=None, height=..., license_version=None, license_url=...
        ),
        openverse_result(2, url=...),
        openverse_result(3, url=None),
        openverse_result(4, url="javascript:alert(1)"),
        openverse_result(5, thumbnail=None, foreign_landing_url=..., width="wide", height=-3),
        openverse_result(6, filetype="svg"),
        openverse_result(7, mature=True),
        openverse_result(9, url="https://photos.example.org/\ud800", title="half \ud800 a letter"),
        openverse_result(8, filetype=None, license_url="javascript:alert(1)", foreign_landing_url="data:,x"),
    ]
    with OpenverseStandIn({"rose": odd}) as service:
        first, second, third = find(visitor, service)
    assert (first.provenance.creator, first.provenance.title, first.provenance.licence) == ("", "", "CC BY")
    assert (first.width_px, first.height_px) == (None, None)
    assert (second.preview_address, second.provenance.page_address) == ("", "")
    assert (second.width_px, second.height_px) == (None, None)
    assert (third.provenance.licence, third.provenance.licence_address) == ("CC BY 2.0", "")
    assert third.provenance.page_address == ""


def test_html_in_values_becomes_plain_text(visitor: Visitor) -> None:
    hostile = openverse_result(
        1,
        title="A <b>red</b>\n rose &amp; <script>alert(1)</script>thorn\x1b[31m",
        creator="&lt;img src=x onerror=alert(1)&gt; Ann",
    )
    with OpenverseStandIn({"rose": [hostile]}) as service:
        (hit,) = find(visitor, service)
    assert hit.provenance.title == "A red rose & thorn [31m"
    assert hit.provenance.creator == "<img src=x onerror=alert(1)> Ann"


def test_words_that_are_too_long_are_not_asked(visitor: Visitor) -> None:
    with OpenverseStandIn({}) as service:
        with pytest.raises(SearchFailed, match="at most 200 characters"):
            next(find(visitor, service, "r" * 201))
        assert list(find(visitor, service, "r" * 200)) == []
        assert len(service.log) == 1


def test_a_refusal_says_what_openverse_says(visitor: Visitor) -> None:
    with (
        OpenverseStandIn({"rose": RESULTS}) as service,
        pytest.raises(SearchFailed, match=r"refused the search \(400\): Invalid input .* \(license\)"),
    ):
        next(find(visitor, service, licences=frozenset({"mine"})))


def test_an_address_that_is_no_openverse_is_said(visitor: Visitor) -> None:
    with OpenverseStandIn({}) as service:
        elsewhere = Openverse(visitor, f"{service.address}/somewhere")
        with pytest.raises(SearchFailed, match="expected JSON from Openverse"):
            next(elsewhere.find("rose", licences=frozenset(), min_side_px=0))
    gone = Openverse(visitor, service.address)
    with pytest.raises(SearchFailed, match="Openverse could not be searched"):
        next(gone.find("rose", licences=frozenset(), min_side_px=0))
