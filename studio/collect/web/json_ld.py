"""What a page says of its images in JSON-LD, in the words of schema.org."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from studio.collect.web.urls import line, plain
from studio.images.provenance import licence_name

_MOST_NODES = 50_000
_MOST_MAKERS = 10
_AROUND = " \t\r\n/*;"
_NAMING = ("image", "photo")
_MADE_BY = ("creator", "author", "creditText", "copyrightHolder")
_Node = Mapping[str, Any]


@dataclass(frozen=True)
class Described:
    """What is said of one image; empty for what is not."""

    title: str = ""
    creator: str = ""
    licence: str = ""
    licence_address: str = ""


def described(scripts: Iterable[str], join: Callable[[str], str | None]) -> dict[str, Described]:
    """Return what is said of each image, by its address.

    join: makes an address whole, or None where it is none.
    """
    nodes = [node for script in scripts for node in _nodes(_data(script))][:_MOST_NODES]
    # What is described once and named by its @id elsewhere.
    whole = {node["@id"]: node for node in nodes if isinstance(node.get("@id"), str) and len(node) > 1}
    found: dict[str, Described] = {}
    for node in nodes:
        for reference, own, around in _images(node):
            address = join(reference)
            if address is None:
                continue
            said = _said(own, around, whole, join)
            known = found.get(address)
            found[address] = _filled(known, said) if known else said
    return found


def _data(script: str) -> Any:
    text = script.strip(_AROUND)
    for mark in ("<![CDATA[", "<! [CDATA["):
        text = text.removeprefix(mark)
    text = text.removesuffix("]]>").strip(_AROUND)
    try:
        # Not strict: line ends stand in the texts of many pages.
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None


def _nodes(data: Any) -> Iterator[_Node]:
    """Yield every object, outer ones first, without those of logos."""
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
    """Yield references to images, each with the object that describes it and the one around that."""
    if _is_image(node) and (reference := _reference(node)):
        yield reference, node, {}
    for name in _NAMING:
        for value in _several(node.get(name)):
            if isinstance(value, str):
                yield value, {}, node
            elif isinstance(value, dict) and not _is_image(value) and (reference := _reference(value)):
                yield reference, value, node


def _is_image(node: _Node) -> bool:
    return "ImageObject" in _several(node.get("@type"))


def _reference(node: _Node) -> str:
    return _first(node.get("contentUrl")) or _first(node.get("url"))


def _said(
    own: _Node, around: _Node, whole: Mapping[str, _Node], join: Callable[[str], str | None]
) -> Described:
    makers = (own.get(name) or around.get(name) for name in _MADE_BY)
    licences = (node.get(name) for name in ("license", "acquireLicensePage") for node in (own, around))
    licence = next((said for value in licences if (said := _first(value))), "")
    address = (join(licence) or "") if re.match(r"https?:|/", licence, re.IGNORECASE) else ""
    return Described(
        title=plain(_first(own.get("name")) or _first(own.get("caption")) or _first(around.get("name"))),
        creator=next((name for maker in makers if (name := _names(maker, whole))), ""),
        licence=licence_name(address) if address else plain(licence),
        licence_address=address,
    )


def _filled(known: Described, more: Described) -> Described:
    has_licence = known.licence or known.licence_address
    licence = known if has_licence else more
    return Described(
        known.title or more.title,
        known.creator or more.creator,
        licence.licence,
        licence.licence_address,
    )


def _names(value: Any, whole: Mapping[str, _Node]) -> str:
    names = []
    for each in _several(value)[:_MOST_MAKERS]:
        if isinstance(each, dict):
            reference = each.get("@id")
            known = whole.get(reference, {}) if isinstance(reference, str) else {}
            names.append(plain(_first(each.get("name")) or _first(known.get("name"))))
        else:
            names.append(plain(_first(each)))
    return line(", ".join(filter(None, dict.fromkeys(names))))


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _first(value: Any) -> str:
    """Return a text where one stands, or where an object stands for one."""
    value = next(iter(_several(value)), None)
    if isinstance(value, dict):
        value = value.get("@value") or value.get("@id") or value.get("url") or value.get("name")
    return value if isinstance(value, str) else ""
