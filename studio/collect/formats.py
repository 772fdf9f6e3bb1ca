"""Which format files are in: a Teachable Machine project, a Hugging Face imagefolder, or class folders."""

from collections.abc import Callable, Sequence

from studio.collect.image_folder_metadata import image_folder, is_metadata
from studio.collect.layout import Layout, class_folders
from studio.collect.teachable_machine import is_manifest, project
from studio.errors import PictureRefused

_MAX_NOTES = 1_000
_MAX_NOTES_BYTES = 200_000_000


class Notes:
    """Files that may say what the others are: seen before any of them is taken."""

    def __init__(self) -> None:
        self._data: dict[str, bytes] = {}
        self._bytes = 0

    def see(self, name: str, read: Callable[[], bytes]) -> None:
        """Keep a file's content where its name says that it may describe others.

        One that cannot be read, or is one too many, is no description: it is offered as a picture is, and
        refused with its reason.
        """
        if not (is_metadata(name) or is_manifest(name)) or len(self._data) >= _MAX_NOTES:
            return
        try:
            data = read()
        except PictureRefused:
            return
        if self._bytes + len(data) <= _MAX_NOTES_BYTES:
            self._data[name] = data
            self._bytes += len(data)

    def layout(self, names: Sequence[str], title: str) -> Layout:
        """Return what each file is. names: all files' paths; title: what was given, for messages.

        Raises ArchiveRefused for a Teachable Machine project of sounds or poses.
        """
        manifest = min((item for item in self._data.items() if is_manifest(item[0])), default=None)
        metadata = {name: data for name, data in self._data.items() if is_metadata(name)}
        return project(names, manifest, title) or image_folder(names, metadata) or class_folders(names)
