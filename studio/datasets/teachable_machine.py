"""Teachable Machine's projects (`.tm`): a zip of `manifest.json` and samples named `CLASS-!-NUMBER.jpg`.

The format is not documented; docs/decisions/0035-dataset-formats.md lists what is known, and from where.
"""

import json
import re
from pathlib import PurePosixPath
from typing import Any

from studio.datasets.class_folders import folder_class
from studio.datasets.dataset_format import DatasetFiles, DatasetFormat
from studio.datasets.layout import Layout, metadata_by_class
from studio.datasets.names import clean_class_name
from studio.errors import ArchiveRefused
from studio.i18n import _

EXTENSION = ".tm"
_MANIFEST = "manifest.json"
_MAX_MANIFEST_BYTES = 1_000_000
_SEPARATOR = "-!-"
_NUMBERED = re.compile(r"(?P<name>.+)-\d+\.\w+")


def is_manifest(name: str) -> bool:
    """Return whether a file may be a project's manifest, by its path: at the top, or in a folder there."""
    path = PurePosixPath(name)
    return path.name == _MANIFEST and len(path.parts) <= 2  # noqa: PLR2004


def read_project(files: DatasetFiles) -> Layout | None:
    """Return the layout of a project, or None where the files are none.

    A title that ends in `.tm` makes them a project even where their manifest is empty or missing. Raises
    ArchiveRefused for projects of sounds and poses.
    """
    path = min((name for name in files.sidecars if is_manifest(name)), default="")
    root = path.removesuffix(_MANIFEST)
    manifest = (
        _read_manifest(files.sidecars[path])
        if path and all(name.startswith(root) for name in files.names)
        else {}
    )
    kind = manifest.get("type")
    has_samples = any(_SEPARATOR in name for name in files.names)
    is_named_so = files.title.casefold().endswith(EXTENSION)
    if not (is_named_so or (isinstance(kind, str) and ("appdata" in manifest or has_samples))):
        return None
    if kind in ("audio", "pose"):
        raise ArchiveRefused(
            _(
                "{name} is a Teachable Machine project of another kind ({kind}): expected an image project. "
                "Sounds and poses cannot be imported."
            ).format(name=files.title, kind=kind)
        )
    class_of_folder = folder_class(files.names)

    def class_of(name: str) -> str | None:
        class_name, separator, _number = name.removeprefix(root).rpartition(_SEPARATOR)
        if not separator and (folder := class_of_folder(name)):
            return folder
        if not separator and (numbered := _NUMBERED.fullmatch(PurePosixPath(name).name)):
            class_name = numbered["name"]
        return clean_class_name(class_name)

    return Layout(metadata_by_class(files.names, class_of), frozenset((path,) if path else ()))


def _read_manifest(data: bytes) -> dict[str, Any]:
    if len(data) > _MAX_MANIFEST_BYTES:
        return {}
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):  # bytes that are no text are a ValueError as well
        return {}
    return content if isinstance(content, dict) else {}


FORMAT = DatasetFormat(
    name="teachable_machine",
    title=_("Teachable Machine project"),
    description=_("A .tm file, as Teachable Machine saves an image project."),
    may_be_sidecar=is_manifest,
    is_sidecar=lambda name, data: is_manifest(name),
    read=read_project,
)
