"""The client for Openverse, with and without a key."""

from collections.abc import Iterator

import pytest

from studio.collect.web.fetcher import Fetcher
from studio.collect.web.openverse import OpenverseClient
from studio.collect.web.search_service import ServiceHit
from studio.errors import SearchFailed
from tests.collect.web.fake_search_services import FakeOpenverse, openverse_result

KEY = ("a client", "a+secret&with=signs")
RESULTS = [openverse_result(number) for number in range(50)]


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    with Fetcher(
        agent="retrain-studio/1 (+test@example.org)", allowed_hosts=frozenset({"127.0.0.1"}), delay_s=0
    ) as fetcher:
        yield fetcher


def find(
    fetcher: Fetcher,
    service: FakeOpenverse,
    words: str = "rose",
    *,
    licences: frozenset[str] = frozenset(),
    min_side_px: int = 0,
    key: tuple[str, str] = ("", ""),
) -> Iterator[ServiceHit]:
    return OpenverseClient(fetcher, service.url, *key).search(
        words, licences=licences, min_side_px=min_side_px
    )


def test_a_hit_has_its_provenance(fetcher: Fetcher) -> None:
    with FakeOpenverse({"wild rose": [openverse_result(7)]}) as service:
        (hit,) = find(fetcher, service, "wild rose")
    assert hit.url == f"{service.url}/pictures/7.jpg"
    assert hit.preview_url == f"{service.url}/v1/images/picture-7/thumb/"
    assert (hit.width_px, hit.height_px, hit.phrase) == (320, 240, "wild rose")
    provenance = hit.provenance
    assert provenance.page_address == "https://photos.example.org/7"
    assert (provenance.title, provenance.creator, provenance.licence) == ("Image 7", "Creator 7", "CC BY 2.0")
    assert provenance.licence_address == "https://creativecommons.org/licenses/by/2.0/"


def test_without_a_key_pages_of_twenty_are_read_to_the_last(fetcher: Fetcher) -> None:
    with FakeOpenverse({"rose": RESULTS}) as service:
        hits = list(find(fetcher, service))
    assert [hit.provenance.title for hit in hits] == [f"Image {number}" for number in range(50)]
    assert [search.query for search in service.searches] == [
        {"q": "rose", "page_size": "20", "page": page} for page in ("1", "2", "3")
    ]


def test_no_page_is_requested_before_it_is_needed(fetcher: Fetcher) -> None:
    with FakeOpenverse({"rose": RESULTS}) as service:
        hits = find(fetcher, service)
        for _hit in range(20):
            next(hits)
        assert len(service.searches) == 1
        next(hits)
        assert len(service.searches) == 2


def test_no_page_after_the_twentieth(fetcher: Fetcher) -> None:
    many = [openverse_result(number) for number in range(450)]
    with FakeOpenverse({"rose": many}) as service:
        assert len(list(find(fetcher, service))) == 400
    assert [search.query["page"] for search in service.searches] == [str(page) for page in range(1, 21)]


def test_fewer_pages_than_page_count_are_an_end_and_no_error(fetcher: Fetcher) -> None:
    with FakeOpenverse({"rose": RESULTS}, depth=40) as service:
        assert len(list(find(fetcher, service))) == 40
    assert len(service.searches) == 3


def test_a_key_buys_a_token_once_and_larger_pages(fetcher: Fetcher) -> None:
    with FakeOpenverse({"rose": RESULTS}, key=KEY, allowance=0) as service:
        assert len(list(find(fetcher, service, key=KEY))) == 50
    assert [(request.method, request.path) for request in service.log] == [
        ("POST", "/v1/auth_tokens/token/"),
        ("GET", "/v1/images/"),
        ("GET", "/v1/images/"),
    ]
    assert {search.headers["authorization"] for search in service.searches} == {"Bearer token-1"}
    assert {search.query["page_size"] for search in service.searches} == {"48"}


def test_a_token_that_has_run_out_is_fetched_anew(fetcher: Fetcher) -> None:
    with FakeOpenverse({"rose": RESULTS}, key=KEY) as service:
        hits = find(fetcher, service, key=KEY)
        next(hits)
        service.tokens.clear()
        assert len(list(hits)) == 49
    assert [search.headers["authorization"] for search in service.searches] == [
        "Bearer token-1",
        "Bearer token-1",
        "Bearer token-2",
    ]


def test_a_wrong_key_is_an_error_and_not_used(fetcher: Fetcher) -> None:
    with FakeOpenverse({"rose": RESULTS}, key=KEY) as service:
        with pytest.raises(SearchFailed, match="STUDIO_OPENVERSE_ID and STUDIO_OPENVERSE_SECRET"):
            next(find(fetcher, service, key=("a client", "another secret")))
        assert service.searches == []


def test_too_many_requests_come_to_a_sentence_after_what_was_found(fetcher: Fetcher) -> None:
    with FakeOpenverse({"rose": RESULTS}, allowance=2) as service:
        hits = find(fetcher, service)
        assert len([next(hits) for _hit in range(40)]) == 40
        with pytest.raises(SearchFailed, match=r"5 requests an hour and 100 a day.*STUDIO_OPENVERSE_ID"):
            next(hits)


def test_licences_are_sent(fetcher: Fetcher) -> None:
    free = [openverse_result(1, license="cc0", license_version="1.0", license_url=None), *RESULTS[2:4]]
    with FakeOpenverse({"rose": free}) as service:
        (hit,) = find(fetcher, service, licences=frozenset({"pdm", "cc0"}))
    assert service.searches[0].query["license"] == "cc0,pdm"
    assert hit.provenance.licence == "CC0 1.0"


@pytest.mark.parametrize(
    ("min_side_px", "sizes"), [(100, None), (554, None), (555, "medium,large"), (1200, "large")]
)
def test_size_is_sent_only_if_it_hides_no_large_image(
    fetcher: Fetcher, min_side_px: int, sizes: str | None
) -> None:
    results = [
        openverse_result(1, width=2000, height=1300),
        openverse_result(2, width=2000, height=min_side_px - 1),
        openverse_result(3, width=None, height=None),
    ]
    with FakeOpenverse({"rose": results}) as service:
        hits = list(find(fetcher, service, min_side_px=min_side_px))
    assert service.searches[0].query.get("size") == sizes
    # One whose size is unknown may be large enough: that is seen when it comes.
    assert [hit.provenance.title for hit in hits] == ["Image 1", "Image 3"]


def test_fields_may_be_missing_null_or_of_another_kind(fetcher: Fetcher) -> None:
    unusual = [
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
    with FakeOpenverse({"rose": unusual}) as service:
        first, second, third = find(fetcher, service)
    assert (first.provenance.creator, first.provenance.title, first.provenance.licence) == ("", "", "CC BY")
    assert (first.width_px, first.height_px) == (None, None)
    assert (second.preview_url, second.provenance.page_address) == ("", "")
    assert (second.width_px, second.height_px) == (None, None)
    assert (third.provenance.licence, third.provenance.licence_address) == ("CC BY 2.0", "")
    assert third.provenance.page_address == ""


def test_html_in_values_becomes_plain_text(fetcher: Fetcher) -> None:
    hostile = openverse_result(
        1,
        title="A <b>red</b>\n rose &amp; <script>alert(1)</script>thorn\x1b[31m",
        creator="&lt;img src=x onerror=alert(1)&gt; Ann",
    )
    with FakeOpenverse({"rose": [hostile]}) as service:
        (hit,) = find(fetcher, service)
    assert hit.provenance.title == "A red rose & thorn [31m"
    assert hit.provenance.creator == "<img src=x onerror=alert(1)> Ann"


def test_phrases_that_are_too_long_are_not_sent(fetcher: Fetcher) -> None:
    with FakeOpenverse({}) as service:
        with pytest.raises(SearchFailed, match="at most 200 characters"):
            next(find(fetcher, service, "r" * 201))
        assert list(find(fetcher, service, "r" * 200)) == []
        assert len(service.log) == 1


def test_an_error_includes_the_message_of_openverse(fetcher: Fetcher) -> None:
    with (
        FakeOpenverse({"rose": RESULTS}) as service,
        pytest.raises(SearchFailed, match=r"refused the search \(400\): Invalid input .* \(license\)"),
    ):
        next(find(fetcher, service, licences=frozenset({"mine"})))


def test_a_url_that_is_no_openverse_is_an_error(fetcher: Fetcher) -> None:
    with FakeOpenverse({}) as service:
        elsewhere = OpenverseClient(fetcher, f"{service.url}/somewhere")
        with pytest.raises(SearchFailed, match="expected JSON from Openverse"):
            next(elsewhere.search("rose", licences=frozenset(), min_side_px=0))
    gone = OpenverseClient(fetcher, service.url)
    with pytest.raises(SearchFailed, match="Openverse could not be searched"):
        next(gone.search("rose", licences=frozenset(), min_side_px=0))
