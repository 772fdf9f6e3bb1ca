"""COCO's JSON of pictures, categories and annotations, as far as it says of which class a picture is.

The format: https://cocodataset.org/#format-data
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from studio.collect.class_looks import MAX_CLASSES, ClassLook
from studio.collect.descriptions import MAX_ROWS, Descriptions, Files, file_in
from studio.collect.image_folder_metadata import described_layout
from studio.collect.layout import Layout
from studio.collect.names import class_name_of
from studio.collect.sources import Papers
from studio.collect.tables import is_address, text_of
from studio.collect.told import Told, settled, split_named
from studio.language import _

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

    names: all files' paths. notes: the content of those that `may_be_coco`. A picture's class is the category
    of its annotations, where they agree on one; otherwise it is left without, and that is said. Pictures that
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
        place = _("{file}, picture {number}").format(file=name, number=number)
        if number > MAX_ROWS:
            reason = _("{place}: more than {limit} pictures; the rest is not read.")
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
        Papers(
            page_address=next((page for page in pages if is_address(page)), ""),
            title=text_of(image.get("title")),
            creator=text_of(image.get("creator")),
            licence=text_of(licence.get("name")),
            licence_address=licence_address if is_address(licence_address) else "",
        ),
        state=state or ("labelled" if class_name else "unlabelled"),
        split=split_named(text_of(image.get("split"))),
    )
