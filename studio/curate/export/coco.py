"""COCO's JSON, with one annotation a picture that names its category.

The format: https://cocodataset.org/#format-data
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from studio.collect.attribution import Credit
from studio.collect.papers import on_the_web
from studio.curate.export.class_folders import state_folder
from studio.curate.export.listing import Listing
from studio.curate.export.picture_files import Exporting, write_pictures
from studio.curate.export.tables import text_file, with_places

JSON = "coco.json"
_IMAGES = "images"


def write_coco(exporting: Exporting) -> dict[int, str]:
    """Write labelled pictures into `images`, and `coco.json` of them; others have folders of their own."""
    placed = write_pictures(exporting, lambda p: _IMAGES if p.labelled else state_folder(p))
    licences = _Licences()
    with text_file(exporting.packed, JSON) as file:
        file.write('{\n"info": ' + _json(_info(exporting.listing)) + ',\n"images": [')
        _write_list(file, _images(exporting, placed, licences))
        file.write('],\n"annotations": [')
        _write_list(file, _annotations(exporting, placed))
        file.write('],\n"categories": [')
        _write_list(file, _categories(exporting.listing))
        file.write('],\n"licenses": [')
        _write_list(file, licences.listed())
        file.write("]\n}\n")
    return placed


def _write_list(file: Any, values: Iterator[dict[str, Any]]) -> None:
    for number, value in enumerate(values):
        file.write((",\n" if number else "\n") + _json(value))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _info(listing: Listing) -> dict[str, Any]:
    at = listing.changed_at
    return {
        "description": listing.project,
        "version": "1.0",
        "year": at.year if at else 0,
        "contributor": "",
        "url": "",
        "date_created": f"{at:%Y/%m/%d}" if at else "",
    }


class _Licences:
    """The licences by their text and address, numbered as they come."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}

    def number(self, name: str, address: str) -> int:
        return self._numbers.setdefault((name, address), len(self._numbers) + 1)

    def listed(self) -> Iterator[dict[str, Any]]:
        for (name, address), number in self._numbers.items():
            yield {"id": number, "name": name, "url": address if on_the_web(address) else ""}


def _images(exporting: Exporting, placed: Mapping[int, str], licences: _Licences) -> Iterator[dict[str, Any]]:
    pictures = [p for p in exporting.listing.pictures if p.labelled and p.image_id in placed]
    with exporting.read() as session:
        for number, (picture, places) in enumerate(
            with_places(session, exporting.listing, pictures), start=1
        ):
            place = Credit(picture.sha256, "", places).credited
            image = {
                "id": number,
                "file_name": placed[picture.image_id].removeprefix(f"{_IMAGES}/"),
                "width": picture.width_px,
                "height": picture.height_px,
                "coco_url": place.address if place and on_the_web(place.address) else "",
                "flickr_url": "",
                "date_captured": f"{place.found_at:%Y-%m-%d %H:%M:%S}" if place else "",
            }
            if place and place.licence:
                image["license"] = licences.number(place.licence, place.licence_address)
            if place:
                image |= {"title": place.title, "creator": place.creator, "page_address": place.page_address}
            yield {**image, "sha256": picture.sha256, "split": picture.split}


def _annotations(exporting: Exporting, placed: Mapping[int, str]) -> Iterator[dict[str, Any]]:
    numbers = {look.name: number for number, look in enumerate(exporting.listing.classes, start=1)}
    pictures = (p for p in exporting.listing.pictures if p.labelled and p.image_id in placed)
    for number, picture in enumerate(pictures, start=1):
        yield {"id": number, "image_id": number, "category_id": numbers.get(picture.class_name or "", 0)}


def _categories(listing: Listing) -> Iterator[dict[str, Any]]:
    for number, look in enumerate(listing.classes, start=1):
        yield {"id": number, "name": look.name, "supercategory": ""}
