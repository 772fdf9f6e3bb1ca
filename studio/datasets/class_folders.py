"""Class folders: a folder of images for each class, as most trainers read them."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

from studio.datasets.dataset_format import DatasetFiles, DatasetFormat
from studio.datasets.export_context import ExportContext, write_images
from studio.datasets.layout import ClassOf, Layout, is_split, metadata_by_class
from studio.datasets.names import ClassFolders, clean_class_name
from studio.datasets.project_contents import ProjectImage
from studio.i18n import _
from studio.images.file_names import UniqueNames, safe_name

CLASSES_FOLDER, UNLABELLED_FOLDER, REJECTED_FOLDER = "classes", "unlabelled", "rejected"
"""The folders of an export into class folders; the other formats have the last two as well."""


def read_class_folders(files: DatasetFiles) -> Layout:
    """Return the layout of class folders."""
    return Layout(metadata_by_class(files.names, folder_class(files.names)))


def folder_class(names: Sequence[str]) -> ClassOf:
    """Return the function that gives a file the class of its folder.

    names: all files' paths. Class folders may stand in folders of splits (`train/daisy`). Folders are splits
    when at least two of them stand side by side, everything that is in folders is in theirs, and none has a
    class that the one with most classes lacks: `test` beside `roses` is a class.
    """
    folders = ClassFolders([PurePosixPath(name) for name in names])
    root = _root_of_splits(names)

    def class_of(name: str) -> str | None:
        path = PurePosixPath(name)
        if root is None:
            return folders.class_of(path)
        below = path.parent.parts[len(root) :]
        is_in_split = path.parts[: len(root)] == root and len(below) > 1 and is_split(below[0])
        return clean_class_name(below[1]) if is_in_split else None

    return class_of


def _root_of_splits(names: Sequence[str]) -> tuple[str, ...] | None:
    """Return the folder in which the splits stand, or None where there are none."""
    classes: dict[str, set[str]] = defaultdict(set)
    roots, others = set(), set()
    for folders in {PurePosixPath(name).parent.parts for name in names}:
        depth = next((i for i, folder in enumerate(folders) if is_split(folder)), None)
        if depth is None:
            others.add(folders)
            continue
        roots.add(folders[:depth])
        classes[folders[depth]].update(folders[depth + 1 : depth + 2])
    most = max(classes.values(), key=len, default=set())
    if (
        len(roots) != 1
        or len(classes) == 1
        or not most
        or not all(found <= most for found in classes.values())
    ):
        return None
    root = roots.pop()
    return root if all(root[: len(other)] == other for other in others) else None


def write_class_folders(export: ExportContext) -> dict[int, str]:
    """Write labelled images into `classes/CLASS`, the others into `unlabelled` and `rejected` beside it.

    There no trainer takes them for classes.
    """
    unique = UniqueNames()
    folders = {style.name: unique.take(safe_name(style.name)) for style in export.contents.classes}

    def folder_of(image: ProjectImage) -> str:
        if not image.is_labelled:
            return state_folder(image)
        name = image.class_name or ""
        if name not in folders:
            folders[name] = unique.take(safe_name(name))
        return f"{CLASSES_FOLDER}/{folders[name]}"

    return write_images(export, folder_of)


def state_folder(image: ProjectImage) -> str:
    """Return the folder of an image that is not labelled."""
    return REJECTED_FOLDER if image.state == "rejected" else UNLABELLED_FOLDER


FORMAT = DatasetFormat(
    name="folders",
    title=_("Class folders"),
    description=_("A folder for each class: for most trainers, and for looking through."),
    read=read_class_folders,
    write=write_class_folders,
)
