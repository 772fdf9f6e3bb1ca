"""The client for Wikimedia Commons."""

from collections.abc import Iterator
from typing import Any

import pytest

from studio.collect.web.commons import CommonsClient
from studio.collect.web.fetcher import Fetcher
from studio.collect.web.search_service import ServiceHit
from studio.errors import SearchFailed
from tests.collect.web.fake_search_services import FakeCommons, commons_page

PAGES = [commons_page(number) for number in range(50)]


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    with Fetcher(
        agent="retrain-studio/1 (+test@example.org)", allowed_hosts=frozenset({"127.0.0.1"}), delay_s=0
    ) as fetcher:
        yield fetcher


def find(
    fetcher: Fetcher,
    service: FakeCommons,
    *,
    licences: frozenset[str] = frozenset(),
    min_side_px: int = 0,
    **made: Any,
) -> Iterator[ServiceHit]:
    commons = CommonsClient(fetcher, service.api_address, **made)
    return commons.search("rose", licences=licences, min_side_px=min_side_px)


def test_a_hit_has_its_provenance(fetcher: Fetcher) -> None:
    with FakeCommons({"rose": [commons_page(7)]}) as service:
        (hit,) = find(fetcher, service)
    assert hit.url == f"{service.url}/pictures/7.jpg"
    assert hit.preview_url == f"{service.url}/thumbs/7.jpg"
    assert (hit.width_px, hit.height_px, hit.phrase) == (320, 240, "rose")
    provenance = hit.provenance
    assert provenance.page_address == "https://commons.wikimedia.org/wiki/File:Picture_7.jpg"
    assert (provenance.title, provenance.creator, provenance.licence) == (
        "Image 7.jpg",
        "C 7",
        "CC BY-SA 4.0",
    )
    assert provenance.licence_address == "https://creativecommons.org/licenses/by-sa/4.0"


def test_queries_follow_the_api_etiquette(fetcher: Fetcher) -> None:
    with FakeCommons({"rose": [commons_page(7)]}) as service:
        list(find(fetcher, service))
    (search,) = service.searches
    assert search.query == {
        "action": "query",
        "format": "json",
        "maxlag": "5",
        "generator": "search",
        "gsrsearch": "filetype:bitmap rose",
        "gsrnamespace": "6",
        "gsrlimit": "50",
        "prop": "imageinfo",
        "iiprop": "url|extmetadata|mime|size|sha1",
        "iiurlwidth": "330",
    }
    assert search.headers["user-agent"] == "retrain-studio/1 (+test@example.org)"


def test_it_goes_on_to_the_end_in_the_order_of_the_search(fetcher: Fetcher) -> None:
    with FakeCommons({"rose": PAGES}, page_size=20) as service:
        hits = list(find(fetcher, service))
    assert [hit.provenance.title for hit in hits] == [f"Image {number}.jpg" for number in range(50)]
    went_on = [(search.query.get("gsroffset"), search.query.get("continue")) for search in service.searches]
    assert went_on == [(None, None), ("20", "gsroffset||"), ("40", "gsroffset||")]
    assert service.most_at_once == 1


def test_going_on_at_the_same_place_is_an_end(fetcher: Fetcher) -> None:
    with FakeCommons({"rose": PAGES}, goes_on_for_ever=True) as service:
        list(find(fetcher, service))
    assert len(service.searches) == 2


@pytest.mark.parametrize("error_code", ["maxlag", "ratelimited"])
def test_it_waits_for_retry_after_and_retries(fetcher: Fetcher, error_code: str) -> None:
    waits: list[float] = []
    with FakeCommons({"rose": PAGES[:3]}, lagged=2, error_code=error_code, retry_after="7") as service:
        assert len(list(find(fetcher, service, pause=waits.append))) == 3
    assert waits == [7.0, 7.0]
    assert len(service.searches) == 3


def test_it_gives_up_in_the_end(fetcher: Fetcher) -> None:
    waits: list[float] = []
    with FakeCommons({"rose": PAGES}, lagged=99, retry_after="soon") as service:
        with pytest.raises(SearchFailed, match="is too busy"):
            next(find(fetcher, service, pause=waits.append))
        assert len(service.searches) == 5
    assert waits == [5.0, 10.0, 20.0, 40.0]


def test_licences_are_chosen_by_what_each_image_says(fetcher: Fetcher) -> None:
    zero = "http://creativecommons.org/publicdomain/zero/1.0/deed.en"
    pages = [
        commons_page(1),
        commons_page(2, metadata={"License": "cc0", "LicenseShortName": "CC0", "LicenseUrl": zero}),
        commons_page(3, metadata={"License": "pd", "LicenseShortName": "Public domain", "LicenseUrl": ...}),
        commons_page(4, metadata={"License": "gfdl", "LicenseShortName": "GFDL 1.2", "LicenseUrl": ...}),
        commons_page(5, metadata={"License": ..., "LicenseShortName": ..., "LicenseUrl": ...}),
        commons_page(6, metadata={"License": "cc-by-2.0", "LicenseShortName": ..., "LicenseUrl": ...}),
        commons_page(7, metadata={"LicenseUrl": "//creativecommons.org/licenses/by/2.0/"}),
    ]

    def licences(*wanted: str) -> list[str]:
        return [hit.provenance.licence for hit in find(fetcher, service, licences=frozenset(wanted))]

    with FakeCommons({"rose": pages}) as service:
        free = ["CC0 1.0", "Public domain"]
        by = ["cc-by-2.0", "CC BY 2.0"]
        assert licences("cc0", "pdm") == free
        assert licences("by") == by
        assert licences() == ["CC BY-SA 4.0", *free, "GFDL 1.2", "", *by]


def test_only_what_can_be_decoded_and_is_large_enough(fetcher: Fetcher) -> None:
    pages = [
        commons_page(1, mime="image/svg+xml"),
        commons_page(2, mime="application/pdf"),
        commons_page(3, mime="video/webm"),
        commons_page(4, mime="image/tiff"),
        commons_page(5, width=99),
        commons_page(6, width=..., height=...),
    ]
    with FakeCommons({"rose": pages}) as service:
        titles = [hit.provenance.title for hit in find(fetcher, service, min_side_px=100)]
    assert titles == ["Image 4.jpg", "Image 6.jpg"]


def test_fields_may_be_missing(fetcher: Fetcher) -> None:
    pages = [
        commons_page(1, imageinfo=...),
        commons_page(2, url=...),
        commons_page(3, extmetadata=..., thumburl=..., descriptionurl=...),
        commons_page(4, metadata={"Artist": ...}),
    ]
    with FakeCommons({"rose": pages}) as service:
        third, fourth = find(fetcher, service)
    assert (third.preview_url, third.provenance.page_address, third.provenance.licence) == ("", "", "")
    assert (fourth.provenance.creator, fourth.provenance.licence) == ("", "CC BY-SA 4.0")


def test_html_in_values_becomes_plain_text(fetcher: Fetcher) -> None:
    artist = (
        '<div class="fn value"><p>Ann &amp; <a href="javascript:alert(1)">Bob</a></p></div>'
        '<span style="display: none;">Unknown author</span><script>alert(1)</script>'
    )
    with FakeCommons({"rose": [commons_page(1, metadata={"Artist": artist})]}) as service:
        (hit,) = find(fetcher, service)
    assert hit.provenance.creator == "Ann & Bob"


def test_without_a_contact_it_says_what_to_set() -> None:
    with (
        Fetcher(agent="retrain-studio/1", allowed_hosts=frozenset({"127.0.0.1"}), delay_s=0) as stranger,
        FakeCommons({"rose": PAGES}) as service,
        pytest.raises(SearchFailed, match="STUDIO_CONTACT"),
    ):
        next(find(stranger, service))


def test_an_error_includes_the_message_of_commons(fetcher: Fetcher) -> None:
    with FakeCommons({}, lagged=1, error_code="cirrussearch-too-busy-error") as service:
        with pytest.raises(SearchFailed, match=r"refused the search \(cirrussearch-too-busy-error\)"):
            next(find(fetcher, service))
        assert len(service.searches) == 1


def test_phrases_that_are_too_long_are_not_sent(fetcher: Fetcher) -> None:
    with FakeCommons({}) as service:
        with pytest.raises(SearchFailed, match="at most 200 characters"):
            next(
                CommonsClient(fetcher, service.api_address).search(
                    "r" * 201, licences=frozenset(), min_side_px=0
                )
            )
        assert service.log == []
