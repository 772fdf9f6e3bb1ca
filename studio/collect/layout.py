"""Where a set of files keeps its classes and papers: in folders' names, or in files that describe others."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from studio.collect.class_looks import ClassLook
from studio.collect.names import ClassFolders, class_name_of
from studio.collect.sources import Papers
from studio.collect.told import Told, is_split
from studio.collect.why import Why

ClassOf = Callable[[str], str | None]
"""Gives a file's class by its path among the others, or None where nothing says one."""


@dataclass(frozen=True)
class Unusable:
    """Something that was named and gives no picture."""

    name: str
    reason: str
    why: str = Why.OTHER


@dataclass(frozen=True)
class Absent:
    """A picture that a description tells of, and whose file is not among the others."""

    name: str
    """The description's line, and the file."""
    told: Told
    reason: str
    """Why it is refused where it is not in the studio's store either."""
    why: str = Why.MISSING


def _no_papers(name: str) -> Papers:
    return Papers()


def _nothing_told(name: str) -> Told | None:
    return None


@dataclass(frozen=True)
class Layout:
    """What each of a set of files is, by its path among them."""

    class_of: ClassOf
    papers_of: Callable[[str], Papers] = _no_papers
    descriptions: frozenset[str] = frozenset()
    """Files that were read to know this, and are not on offer as pictures."""
    unusable: tuple[Unusable, ...] = ()
    """What the descriptions say that cannot be followed."""
    told_of: Callable[[str], Told | None] = _nothing_told
    """What a description says of a file, or of a picture in a file of records."""
    absent: tuple[Absent, ...] = ()
    stray_of: Callable[[str], Told | None] = _nothing_told
    """What the place of a file says that no row of an export tells of: it may be one of the absent, moved."""
    records: Mapping[str, int] = field(default_factory=dict)
    """Files that hold many pictures each, with how many."""
    record_labels: Callable[[str], Sequence[str]] = lambda name: ()
    """The names of the classes that such a file has by their numbers."""
    classes: tuple[ClassLook, ...] = ()
    copies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Pictures that are nearly the same, by the first of them; all by their SHA-256."""


def class_folders(names: Sequence[str]) -> Layout:
    """Return the layout of plain class folders, which may stand in folders of splits (`train/daisy`).

    Folders are splits when at least two of them stand side by side, everything that is in folders is in
    theirs, and none has a class that the one with most classes lacks: `test` beside `roses` is a class.
    """
    folders = ClassFolders([PurePosixPath(name) for name in names])
    root = _root_of_splits(names)

    def class_of(name: str) -> str | None:
        path = PurePosixPath(name)
        if root is None:
            return folders.class_of(path)
        below = path.parent.parts[len(root) :]
        inside = path.parts[: len(root)] == root and len(below) > 1 and is_split(below[0])
        return class_name_of(below[1]) if inside else None

    return Layout(class_of)


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
