"""JSON-LD: image metadata that pages state in the schema.org vocabulary."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from studio.collect.web.page_text import single_line, strip_html
from studio.images.provenance import licence_name

_MAX_NODES = 50_000
_MAX_CREATORS = 10
_PADDING = " \t\r\n/*;"
_IMAGE_PROPERTIES = ("image", "photo")
_CREATOR_PROPERTIES = ("creator", "author", "creditText", "copyrightHolder")
_Node = Mapping[str, Any]


@dataclass(frozen=True)
class JsonLdImage:
    """The metadata of one image; empty where nothing is stated."""

    title: str = ""
    creator: str = ""
    licence: str = ""
    licence_address: str = ""


def parse_json_ld(scripts: Iterable[str], resolve: Callable[[str], str | None]) -> dict[str, JsonLdImage]:
    """Return the metadata of images, by URL.

    resolve: returns the absolute URL of a reference, or None if it is not one.
    """
    nodes = [node for script in scripts for node in _nodes(_load_json(script))][:_MAX_NODES]
    # Objects that are described once and referred to by @id elsewhere.
    by_id = {node["@id"]: node for node in nodes if isinstance(node.get("@id"), str) and len(node) > 1}
    found: dict[str, JsonLdImage] = {}
    for node in nodes:
        for reference, image_node, parent in _images(node):
            url = resolve(reference)
            if url is None:
                continue
            metadata = _image_metadata(image_node, parent, by_id, resolve)
            earlier = found.get(url)
            found[url] = _merged(earlier, metadata) if earlier else metadata
    return found


def _load_json(script: str) -> Any:
    text = script.strip(_PADDING)
    for marker in ("<![CDATA[", "<! [CDATA["):
        text = text.removeprefix(marker)
    text = text.removesuffix("]]>").strip(_PADDING)
    try:
        # Not strict, since the strings of many pages contain line ends.
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None


def _nodes(data: Any) -> Iterator[_Node]:
    """Yield every object, outer ones first, except those of logos."""
    waiting = [data]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield each
            inside = [value for name, value in each.items() if name != "logo"]
        elif isinstance(each, list):
            inside = each
        else:
            continue
        waiting.extend(value for value in reversed(inside) if isinstance(value, dict | list))


def _images(node: _Node) -> Iterator[tuple[str, _Node, _Node]]:
    """Yield references to images, each with the object that describes it and the enclosing object."""
    if _is_image(node) and (reference := _reference(node)):
        yield reference, node, {}
    for name in _IMAGE_PROPERTIES:
        for value in _as_list(node.get(name)):
            if isinstance(value, str):
                yield value, {}, node
            elif isinstance(value, dict) and not _is_image(value) and (reference := _reference(value)):
                yield reference, value, node


def _is_image(node: _Node) -> bool:
    return "ImageObject" in _as_list(node.get("@type"))


def _reference(node: _Node) -> str:
    return _first_text(node.get("contentUrl")) or _first_text(node.get("url"))


def _image_metadata(
    node: _Node, parent: _Node, by_id: Mapping[str, _Node], resolve: Callable[[str], str | None]
) -> JsonLdImage:
    creators = (node.get(name) or parent.get(name) for name in _CREATOR_PROPERTIES)
    licences = (each.get(name) for name in ("license", "acquireLicensePage") for each in (node, parent))
    licence = next((text for value in licences if (text := _first_text(value))), "")
    url = (resolve(licence) or "") if re.match(r"https?:|/", licence, re.IGNORECASE) else ""
    return JsonLdImage(
        title=strip_html(
            _first_text(node.get("name"))
            or _first_text(node.get("caption"))
            or _first_text(parent.get("name"))
        ),
        creator=next((name for value in creators if (name := _creator_names(value, by_id))), ""),
        licence=licence_name(url) if url else strip_html(licence),
        licence_address=url,
    )


def _merged(earlier: JsonLdImage, later: JsonLdImage) -> JsonLdImage:
    has_licence = earlier.licence or earlier.licence_address
    licence = earlier if has_licence else later
    return JsonLdImage(
        earlier.title or later.title,
        earlier.creator or later.creator,
        licence.licence,
        licence.licence_address,
    )


def _creator_names(value: Any, by_id: Mapping[str, _Node]) -> str:
    names = []
    for each in _as_list(value)[:_MAX_CREATORS]:
        if isinstance(each, dict):
            reference = each.get("@id")
            described = by_id.get(reference, {}) if isinstance(reference, str) else {}
            names.append(strip_html(_first_text(each.get("name")) or _first_text(described.get("name"))))
        else:
            names.append(strip_html(_first_text(each)))
    return single_line(", ".join(filter(None, dict.fromkeys(names))))


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _first_text(value: Any) -> str:
    """Return the first string of a value, or of the object that stands for one; else empty."""
    value = next(iter(_as_list(value)), None)
    if isinstance(value, dict):
        value = value.get("@value") or value.get("@id") or value.get("url") or value.get("name")
    return value if isinstance(value, str) else ""
