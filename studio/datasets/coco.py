"""COCO's JSON of images, categories and annotations, as far as it says of which class an image is.

The format: https://cocodataset.org/#format-data
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from studio.datasets.class_folders import state_folder
from studio.datasets.class_styles import MAX_CLASSES, ClassLook
from studio.datasets.imagefolder import described_layout
from studio.datasets.layout import Layout, Told, settled, split_named
from studio.datasets.names import class_name_of
from studio.datasets.sidecar_tables import MAX_ROWS, Descriptions, Files, file_in
from studio.datasets.tables import is_address, text_of
from studio.datasets.writing import Exporting, Listing, text_file, with_places, write_images
from studio.i18n import _
from studio.images.attribution import ImageCredit
from studio.images.provenance import Provenance, on_the_web

ENDING = ".json"
LARGEST_BYTES = 100_000_000
_MOST_VALUES = 4_000_000
"""A list takes some sixty bytes once it is read, and three in the file."""
_KEYS = (b'"images"', b'"annotations"', b'"categories"')


def may_be_coco(name: str, data: bytes) -> bool:
    """Whether a file is worth reading as COCO's JSON; what is larger than is read is not."""
    return (
        name.casefold().endswith(ENDING)
        and len(data) <= LARGEST_BYTES
        and all(key in data for key in _KEYS)
        and data.count(b",") + data.count(b"[") + data.count(b"{") <= _MOST_VALUES
    )


def coco(names: Sequence[str], notes: Mapping[str, bytes]) -> Layout | None:
    """Return the layout that COCO's JSON gives to files, or None where there is none that names any of them.

    names: all files' paths. notes: the content of those that `may_be_coco`. An image's class is the category
    of its annotations, where they agree on one; otherwise it is left without, and that is said. Images that
    it does not name have no class, whatever their folder.
    """
    files = Files(names)
    read = Descriptions(files.find)
    looks: dict[str, ClassLook] = {}
    used = set()
    for name, data in sorted(notes.items()):
        content = _read(data)
        if content is not None:
            used.add(name)
            _take(read, name, content, looks)
    if not read.described:
        return None
    layout = described_layout(names, read, (), frozenset(used), lambda name: None)
    return replace(layout, classes=tuple(looks.values()))


def _read(data: bytes) -> dict[str, list[Any]] | None:
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):  # bytes that are no text are a ValueError as well
        return None
    keys = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in keys):
        return None
    licences = content.get("licenses")
    return {
        **{key: [each for each in content[key] if isinstance(each, dict)] for key in keys},
        "licenses": [each for each in licences if isinstance(each, dict)]
        if isinstance(licences, list)
        else [],
    }


def _take(
    read: Descriptions, name: str, content: Mapping[str, list[Any]], looks: dict[str, ClassLook]
) -> None:
    categories: dict[Any, str] = {}
    for category in content["categories"][:MAX_CLASSES]:
        class_name = class_name_of(text_of(category.get("name")))
        if class_name is not None:
            categories[_key(category.get("id"))] = class_name
            looks.setdefault(class_name, ClassLook(class_name))
    classes: defaultdict[Any, set[str]] = defaultdict(set)
    for annotation in content["annotations"]:
        class_name = categories.get(_key(annotation.get("category_id")))
        if class_name is not None:
            classes[_key(annotation.get("image_id"))].add(class_name)
    licences = {_key(licence.get("id")): licence for licence in content["licenses"]}
    for number, image in enumerate(content["images"], start=1):
        place = _("{file}, image {number}").format(file=name, number=number)
        if number > MAX_ROWS:
            reason = _("{place}: more than {limit} images; the rest is not read.")
            read.refuse(place, reason.format(place=place, limit=f"{MAX_ROWS:,}"))
            return
        file = file_in(image.get("file_name"))
        if not file:
            read.refuse(place, _("{place} names no file in its file_name.").format(place=place))
            continue
        found = classes.get(_key(image.get("id")), set())
        told = _told(image, licences.get(_key(image.get("license")), {}), found)
        if read.describe(name, place, file, told) and len(found) > 1:
            reason = _(
                "{place}: {file} has annotations of {count} categories: expected one. "
                "It comes without a class."
            )
            shown = reason.format(place=place, file=text_of(file), count=len(found))
            read.refuse(_("{place}: categories").format(place=place), shown)


def _key(value: object) -> object:
    """Return an id as others name it: some write numbers as text."""
    return text_of(value)


def _told(image: Mapping[str, Any], licence: Mapping[str, Any], classes: set[str]) -> Told:
    class_name = next(iter(classes)) if len(classes) == 1 else None
    pages = (text_of(image.get(key)) for key in ("page_address", "flickr_url", "coco_url"))
    licence_address = text_of(licence.get("url"))
    state = settled(text_of(image.get("state")), class_name)
    return Told(
        class_name,
        Provenance(
            page_address=next((page for page in pages if is_address(page)), ""),
            title=text_of(image.get("title")),
            creator=text_of(image.get("creator")),
            licence=text_of(licence.get("name")),
            licence_address=licence_address if is_address(licence_address) else "",
        ),
        state=state or ("labelled" if class_name else "unlabelled"),
        split=split_named(text_of(image.get("split"))),
    )


JSON = "coco.json"
_IMAGES = "images"


def write_coco(exporting: Exporting) -> dict[int, str]:
    """Write labelled images into `images`, and `coco.json` of them; others have folders of their own."""
    placed = write_images(exporting, lambda p: _IMAGES if p.labelled else state_folder(p))
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
    images = [p for p in exporting.listing.images if p.labelled and p.image_id in placed]
    with exporting.read() as session:
        for number, (image, places) in enumerate(with_places(session, exporting.listing, images), start=1):
            place = ImageCredit(image.sha256, "", places).credited
            entry = {
                "id": number,
                "file_name": placed[image.image_id].removeprefix(f"{_IMAGES}/"),
                "width": image.width_px,
                "height": image.height_px,
                "coco_url": place.address if place and on_the_web(place.address) else "",
                "flickr_url": "",
                "date_captured": f"{place.found_at:%Y-%m-%d %H:%M:%S}" if place else "",
            }
            if place and place.licence:
                entry["license"] = licences.number(place.licence, place.licence_address)
            if place:
                entry |= {"title": place.title, "creator": place.creator, "page_address": place.page_address}
            yield {**entry, "sha256": image.sha256, "split": image.split}


def _annotations(exporting: Exporting, placed: Mapping[int, str]) -> Iterator[dict[str, Any]]:
    numbers = {look.name: number for number, look in enumerate(exporting.listing.classes, start=1)}
    images = (p for p in exporting.listing.images if p.labelled and p.image_id in placed)
    for number, image in enumerate(images, start=1):
        yield {"id": number, "image_id": number, "category_id": numbers.get(image.class_name or "", 0)}


def _categories(listing: Listing) -> Iterator[dict[str, Any]]:
    for number, look in enumerate(listing.classes, start=1):
        yield {"id": number, "name": look.name, "supercategory": ""}
