"""Credit for images: a table with every place, and a text that can be put beside what is made of them."""

import csv
import io
from hashlib import sha256

from studio.images import attribution
from studio.images.provenance import Provenance
from tests.collect.material import Bench, image_bytes
from tests.images.test_provenance import ROSE, found_at

PINE = Provenance(
    title="A\n pine\x1b[31m", creator="Zoë", licence="CC0 1.0", page_address="https://b.example/pine"
)


def fill(bench: Bench) -> None:
    bench.ingest(
        [
            found_at("https://a.example/rose.jpg", 0, known=ROSE, class_name="장미"),
            found_at(
                "https://a.example/bud.jpg", 1, known=Provenance(licence="CC BY 2.0"), class_name="장미"
            ),
            found_at("https://b.example/pine.jpg", 2, "commons", PINE, "pine"),
            found_at("webcam 1.jpg", 3, "camera", class_name="pine"),
            found_at("오래된/=1+1.jpg", 4, "folder", Provenance(creator="=HYPERLINK(1)"), "pine"),
            found_at("nowhere.jpg", 5, "folder"),
        ]
    )


def credits_of(bench: Bench, class_of: dict[str, str] | None = None) -> tuple[attribution.ImageCredit, ...]:
    with bench.database.read() as session:
        return attribution.image_credits(session, bench.project_id, class_of)


def digest(seed: int) -> str:
    return sha256(image_bytes(seed)).hexdigest()


def test_the_text_credits_by_licence_and_names_the_unknown_last(bench: Bench) -> None:
    fill(bench)
    assert attribution.as_text(credits_of(bench)) == (
        "CC BY 2.0: 2 images\n"
        "“<b>Rose</b>” by Anna & Söhne (https://정원.example/꽃), CC BY 2.0"
        " (https://creativecommons.org/licenses/by/2.0/)\n"
        "“bud.jpg” (https://a.example/bud.jpg), CC BY 2.0\n"
        "\n"
        "CC0 1.0: 1 image\n"
        "“A pine [31m” by Zoë (https://b.example/pine), CC0 1.0\n"
        "\n"
        "Own work: 1 image\n"
        "\n"
        "Licence unknown: 1 image\n"
        "“=1+1.jpg” by =HYPERLINK(1)\n"
    )


def test_the_table_has_a_line_for_every_place_and_no_formula(bench: Bench) -> None:
    fill(bench)
    bench.ingest([found_at("https://copies.example/?1", 4, class_name="장미")])  # keeps its first class
    table = list(csv.DictReader(io.StringIO(attribution.as_csv(credits_of(bench)))))
    assert list(table[0]) == list(attribution.COLUMNS)
    assert sorted((row["class"], row["name"], row["licence"]) for row in table) == [
        ("pine", "'=1+1.jpg", ""),
        ("pine", "copies.example", ""),
        ("pine", "pine.jpg", "CC0 1.0"),
        ("pine", "webcam 1.jpg", ""),
        ("장미", "bud.jpg", "CC BY 2.0"),
        ("장미", "rose.jpg", "CC BY 2.0"),
    ]
    (rose,) = (row for row in table if row["name"] == "rose.jpg")
    assert rose == {
        "sha256": digest(0),
        "name": "rose.jpg",
        "class": "장미",
        "title": "<b>Rose</b>",
        "creator": "Anna & Söhne",
        "licence": "CC BY 2.0",
        "licence_address": "https://creativecommons.org/licenses/by/2.0/",
        "page_address": "https://정원.example/꽃",
        "address": "https://a.example/rose.jpg",
        "found_at": "2026-01-02T03:04:05+00:00",
        "robots": "robots.txt allows",
        "kind": "crawl",
    }
    assert {row["creator"] for row in table if row["sha256"] == digest(4)} == {"'=HYPERLINK(1)", ""}
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in table for cell in row.values())


def test_a_licence_found_later_is_credited(bench: Bench) -> None:
    bench.ingest([found_at("a.jpg", 0, "folder", class_name="장미")])
    bench.ingest([found_at("https://a.example/rose.jpg", 0, known=ROSE)])
    (credit,) = credits_of(bench)
    assert credit.credited is not None
    assert credit.credited.licence == "CC BY 2.0"
    assert len(credit.places) == 2


def test_the_images_and_classes_that_were_frozen_are_credited_whatever_they_are_now(bench: Bench) -> None:
    fill(bench)
    found = credits_of(bench, {digest(5): "then", digest(0): "then"})
    assert [(credit.class_name, credit.places[0].name) for credit in found] == sorted(
        [("then", "nowhere.jpg"), ("then", "rose.jpg")],
        key=lambda each: digest(5 if each[1] == "nowhere.jpg" else 0),
    )


def test_nothing_to_credit(bench: Bench) -> None:
    assert attribution.as_text(credits_of(bench)) == ""
    assert attribution.as_csv(credits_of(bench)) == ",".join(attribution.COLUMNS) + "\n"
