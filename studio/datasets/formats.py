"""The registry of dataset formats, and the detection of the format that files are in."""

from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

from studio.datasets import (
    class_folders,
    coco,
    csv_table,
    huggingface,
    studio_export,
    teachable_machine,
    tfrecord,
)
from studio.datasets.dataset_format import DatasetFiles, DatasetFormat
from studio.datasets.layout import Layout, merge_layouts
from studio.errors import ImageRefused

FORMATS: tuple[DatasetFormat, ...] = (
    class_folders.FORMAT,
    csv_table.FORMAT,
    coco.FORMAT,
    huggingface.FORMAT,
    teachable_machine.FORMAT,
    tfrecord.FORMAT,
    studio_export.FORMAT,
)
"""In the order in which people see them. Files are recognised in the reverse order: class folders, which any
files may be, come last."""
EXPORT_FORMATS = {each.name: each for each in FORMATS if each.write is not None}
"""The formats that can be written, by name."""
_MAX_SIDECARS = 1_000
_MAX_SIDECAR_BYTES = 200_000_000
_MAX_FILES_READ = 5_000
"""So many files are read to see whether they describe others: there may be one beside each image."""


class FormatDetector:
    """Detects the format of a set of files: `add` each of them, then ask for the `layout`."""

    def __init__(self) -> None:
        self._sidecars: dict[str, bytes] = {}
        self._record_counts: dict[str, int] = {}
        self._bytes = 0
        self._files_read = 0

    def add(self, name: str, read: Callable[[], bytes], path: Path | None = None) -> None:
        """Keep a file's content where it describes others; count the records of one that holds many images.

        name: its path among the others. path: its place on this machine, if it has one. A file that cannot be
        read, or is one too many, is no sidecar: it is imported as an image, and skipped with its reason.
        """
        for each in FORMATS:
            if each.is_record_file(name):
                self._count_records(each, name, read, path)
                return
        if (
            not any(each.may_be_sidecar(name) for each in FORMATS)
            or len(self._sidecars) >= _MAX_SIDECARS
            or self._files_read >= _MAX_FILES_READ
        ):
            return
        self._files_read += 1
        try:
            data = read()
        except ImageRefused:
            return
        if self._bytes + len(data) <= _MAX_SIDECAR_BYTES and any(
            each.is_sidecar(name, data) for each in FORMATS
        ):
            self._sidecars[name] = data
            self._bytes += len(data)

    def _count_records(
        self, format_: DatasetFormat, name: str, read: Callable[[], bytes], path: Path | None
    ) -> None:
        assert format_.count_records is not None  # noqa: S101 - it has record files
        try:
            with path.open("rb") if path is not None else BytesIO(read()) as file:
                count = format_.count_records(file)
        except (ImageRefused, OSError):
            return
        if count is not None:
            self._record_counts[name] = count

    def layout(self, names: Sequence[str], title: str) -> Layout:
        """Return the layout of all files that were added.

        names: their paths. title: the name of the folder or archive that was given, for messages. Raises
        ArchiveRefused for a Teachable Machine project of sounds or poses, and for an export of a newer
        version of the studio.
        """
        rest = DatasetFiles(title, names, self._sidecars, self._record_counts)
        layouts = []
        for each in reversed(FORMATS):
            layout = each.read(rest) if each.read is not None and rest.names else None
            if layout is not None:
                layouts.append(layout)
                rest = rest.without(layout.images)
        return merge_layouts(layouts)
