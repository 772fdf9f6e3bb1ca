"""COCO's JSON of images, categories and annotations, as far as it gives the class of an image.

The format: https://cocodataset.org/#format-data
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import IO, Any

from studio.datasets.class_folders import state_folder
from studio.datasets.class_styles import MAX_CLASSES, ClassStyle
from studio.datasets.dataset_format import DatasetFiles, DatasetFormat
from studio.datasets.export_context import ExportContext, text_file, write_images
from studio.datasets.layout import ImageMetadata, Layout, parse_split, parse_state
from studio.datasets.names import clean_class_name
from studio.datasets.project_contents import ProjectContents, with_provenance
from studio.datasets.sidecar_tables import MAX_ROWS, FileFinder, SidecarReader, file_path
from studio.datasets.tables import cell_text, is_web_address
from studio.i18n import _
from studio.images.attribution import ImageCredit
from studio.images.provenance import Provenance, is_web_url

MAX_FILE_BYTES = 100_000_000
_MAX_VALUES = 4_000_000
"""A list takes some sixty bytes once it is read, and three in the file."""
_KEYS = (b'"images"', b'"annotations"', b'"categories"')
_FILE_NAME = "coco.json"
_IMAGES_FOLDER = "images"


def is_json_name(name: str) -> bool:
    """Return whether a file is to be read ahead, by its path."""
    return name.casefold().endswith(".json")


def may_be_coco(name: str, data: bytes) -> bool:
    """Return whether a file may be COCO's JSON; one that is too large to be read is not."""
    return (
        is_json_name(name)
        and len(data) <= MAX_FILE_BYTES
        and all(key in data for key in _KEYS)
        and data.count(b",") + data.count(b"[") + data.count(b"{") <= _MAX_VALUES
    )


def read_coco(files: DatasetFiles) -> Layout | None:
    """Return the layout that COCO's JSON gives to files, or None where none of it names any of the files.

    An image's class is the category of its annotations, where they agree on one; otherwise it has none, and
    a skipped entry gives the reason. Images that the JSON does not name have no class, whatever their folder.
    """
    reader = SidecarReader(FileFinder(files.names).find)
    classes: dict[str, ClassStyle] = {}
    used = set()
    for name, data in sorted(files.sidecars.items()):
        content = _parse(data) if may_be_coco(name, data) else None
        if content is not None:
            used.add(name)
            _read_images(reader, name, content, classes)
    if not reader.images:
        return None
    layout = reader.layout(files.names, used, lambda name: None)
    return replace(layout, classes=tuple(classes.values()))


def _parse(data: bytes) -> dict[str, list[Any]] | None:
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


def _read_images(
    reader: SidecarReader, name: str, content: Mapping[str, list[Any]], styles: dict[str, ClassStyle]
) -> None:
    categories: dict[str, str] = {}
    for category in content["categories"][:MAX_CLASSES]:
        class_name = clean_class_name(cell_text(category.get("name")))
        if class_name is not None:
            categories[_id(category.get("id"))] = class_name
            styles.setdefault(class_name, ClassStyle(class_name))
    classes: defaultdict[str, set[str]] = defaultdict(set)
    for annotation in content["annotations"]:
        class_name = categories.get(_id(annotation.get("category_id")))
        if class_name is not None:
            classes[_id(annotation.get("image_id"))].add(class_name)
    licences = {_id(licence.get("id")): licence for licence in content["licenses"]}
    for number, image in enumerate(content["images"], start=1):
        location = _("{file}, image {number}").format(file=name, number=number)
        if number > MAX_ROWS:
            reason = _("{location}: more than {limit} images; the rest is not read.")
            reader.skip(location, reason.format(location=location, limit=f"{MAX_ROWS:,}"))
            return
        file = file_path(image.get("file_name"))
        if not file:
            reason = _("{location} names no file in its file_name.")
            reader.skip(location, reason.format(location=location))
            continue
        class_names = classes.get(_id(image.get("id")), set())
        metadata = _metadata(image, licences.get(_id(image.get("license")), {}), class_names)
        if reader.add(name, location, file, metadata) and len(class_names) > 1:
            reason = _(
                "{location}: {file} has annotations of {count} categories: expected one. "
                "It comes without a class."
            )
            reader.skip(
                _("{location}: categories").format(location=location),
                reason.format(location=location, file=cell_text(file), count=len(class_names)),
            )


def _id(value: object) -> str:
    """Return an id as text: some programs write numbers, others text."""
    return cell_text(value)


def _metadata(image: Mapping[str, Any], licence: Mapping[str, Any], class_names: set[str]) -> ImageMetadata:
    class_name = next(iter(class_names)) if len(class_names) == 1 else None
    pages = (cell_text(image.get(key)) for key in ("page_address", "flickr_url", "coco_url"))
    licence_address = cell_text(licence.get("url"))
    state = parse_state(cell_text(image.get("state")), class_name)
    return ImageMetadata(
        class_name,
        Provenance(
            page_address=next((page for page in pages if is_web_address(page)), ""),
            title=cell_text(image.get("title")),
            creator=cell_text(image.get("creator")),
            licence=cell_text(licence.get("name")),
            licence_address=licence_address if is_web_address(licence_address) else "",
        ),
        state=state or ("labelled" if class_name else "unlabelled"),
        split=parse_split(cell_text(image.get("split"))),
    )


def write_coco(export: ExportContext) -> dict[int, str]:
    """Write labelled images into `images`, and `coco.json` of them; others have folders of their own."""
    paths = write_images(export, lambda image: _IMAGES_FOLDER if image.is_labelled else state_folder(image))
    licences = _Licences()
    with text_file(export.archive, _FILE_NAME) as file:
        file.write('{\n"info": ' + _json(_info(export.contents)) + ',\n"images": [')
        _write_list(file, _images(export, paths, licences))
        file.write('],\n"annotations": [')
        _write_list(file, _annotations(export, paths))
        file.write('],\n"categories": [')
        _write_list(file, _categories(export.contents))
        file.write('],\n"licenses": [')
        _write_list(file, licences.entries())
        file.write("]\n}\n")
    return paths


def _write_list(file: IO[str], values: Iterator[dict[str, Any]]) -> None:
    for number, value in enumerate(values):
        file.write((",\n" if number else "\n") + _json(value))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _info(contents: ProjectContents) -> dict[str, Any]:
    at = contents.changed_at
    return {
        "description": contents.project_name,
        "version": "1.0",
        "year": at.year if at else 0,
        "contributor": "",
        "url": "",
        "date_created": f"{at:%Y/%m/%d}" if at else "",
    }


class _Licences:
    """The licences of an export by their name and address, numbered from 1 in the order of their use."""

    def __init__(self) -> None:
        self._ids: dict[tuple[str, str], int] = {}

    def id_of(self, name: str, address: str) -> int:
        return self._ids.setdefault((name, address), len(self._ids) + 1)

    def entries(self) -> Iterator[dict[str, Any]]:
        for (name, address), number in self._ids.items():
            yield {"id": number, "name": name, "url": address if is_web_url(address) else ""}


def _images(export: ExportContext, paths: Mapping[int, str], licences: _Licences) -> Iterator[dict[str, Any]]:
    images = [image for image in export.contents.images if image.is_labelled and image.image_id in paths]
    with export.read_session() as session:
        rows = with_provenance(session, export.contents.project_id, images)
        for number, (image, records) in enumerate(rows, start=1):
            credited = ImageCredit(image.sha256, "", records).credited
            entry = {
                "id": number,
                "file_name": paths[image.image_id].removeprefix(f"{_IMAGES_FOLDER}/"),
                "width": image.width_px,
                "height": image.height_px,
                "coco_url": credited.address if credited and is_web_url(credited.address) else "",
                "flickr_url": "",
                "date_captured": f"{credited.found_at:%Y-%m-%d %H:%M:%S}" if credited else "",
            }
            if credited and credited.licence:
                entry["license"] = licences.id_of(credited.licence, credited.licence_address)
            if credited:
                entry |= {
                    "title": credited.title,
                    "creator": credited.creator,
                    "page_address": credited.page_address,
                }
            yield {**entry, "sha256": image.sha256, "split": image.split}


def _annotations(export: ExportContext, paths: Mapping[int, str]) -> Iterator[dict[str, Any]]:
    ids = {style.name: number for number, style in enumerate(export.contents.classes, start=1)}
    images = (image for image in export.contents.images if image.is_labelled and image.image_id in paths)
    for number, image in enumerate(images, start=1):
        yield {"id": number, "image_id": number, "category_id": ids.get(image.class_name or "", 0)}


def _categories(contents: ProjectContents) -> Iterator[dict[str, Any]]:
    for number, style in enumerate(contents.classes, start=1):
        yield {"id": number, "name": style.name, "supercategory": ""}


FORMAT = DatasetFormat(
    name="coco",
    title="COCO",
    description=_("COCO's JSON and its images: for tools that annotate and evaluate."),
    may_be_sidecar=is_json_name,
    is_sidecar=may_be_coco,
    read=read_coco,
    write=write_coco,
)
