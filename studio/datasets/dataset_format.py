"""The interface of a dataset format: how its files are recognised, read and written.

To add a format: write a module with a `DatasetFormat` and add that to `studio.datasets.formats.FORMATS`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from sqlalchemy.orm import Session

from studio.datasets.export_context import ExportContext
from studio.datasets.layout import Layout
from studio.datasets.project_contents import ProjectContents


@dataclass(frozen=True)
class DatasetFiles:
    """A set of files as the reader of a format gets them, before any image is read."""

    title: str
    """The name of the folder or archive that was given, for messages."""
    names: Sequence[str]
    """The paths of all files, with slashes."""
    sidecars: Mapping[str, bytes] = field(default_factory=dict)
    """The content of the files that a format takes for a description of others, by their paths."""
    record_counts: Mapping[str, int] = field(default_factory=dict)
    """The number of records of the files that hold many images, by their paths."""

    def without(self, covered: Mapping[str, object]) -> "DatasetFiles":
        """Return the files that a layout does not cover. covered: by their paths."""
        return DatasetFiles(
            self.title,
            [name for name in self.names if name not in covered],
            {name: data for name, data in self.sidecars.items() if name not in covered},
            {name: count for name, count in self.record_counts.items() if name not in covered},
        )


def _never(name: str) -> bool:
    return False


@dataclass(frozen=True)
class DatasetFormat:
    """A format in which data sets come in, go out, or both."""

    name: str
    """As on the command line; it is stored in jobs and manifests and must not change."""
    title: str
    """For people, as `Class folders`."""
    description: str
    """One line for people: what the format holds and what it is for."""
    may_be_sidecar: Callable[[str], bool] = _never
    """Returns whether the file of a path is to be read ahead, as it may describe others."""
    is_sidecar: Callable[[str, bytes], bool] = lambda name, data: False
    """Returns whether a file describes others, by its path and content."""
    is_record_file: Callable[[str], bool] = _never
    """Returns whether a file may hold many images, by its path."""
    count_records: Callable[[BinaryIO], int | None] | None = None
    """Counts the records of such a file; None where it is something else."""
    read: Callable[[DatasetFiles], Layout | None] | None = None
    """Returns the layout of the files that are in this format; None where none is. A layout without images
    leaves the files to the other formats. None: the format is not imported."""
    write: Callable[[ExportContext], dict[int, str]] | None = None
    """Writes the images of a project; returns the path of each in the export by its id. None: no export."""
    file_extension: str = ""
    """Of an output that is a single file, as `.csv`; empty where there is none."""
    write_file: Callable[[Session, IO[str], ProjectContents], None] | None = None
    """Writes such a file, which holds no images."""

    def is_single_file(self, output: Path) -> bool:
        """Return whether an output is a single file without images."""
        return self.write_file is not None and output.suffix.lower() == self.file_extension


def base_name(path: str) -> str:
    """Return the last part of a file's path."""
    return PurePosixPath(path).name


def folder_of(path: str) -> str:
    """Return the folder of a file's path, with a slash behind; empty at the top."""
    return path[: len(path) - len(base_name(path))]
