"""The pictures' own bytes, as they go into an export; those that are lost are named and cost nothing else."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from studio.collect.store import PictureStore
from studio.curate.export.listing import Listed
from studio.language import _
from studio.progress import Progress


@dataclass(frozen=True)
class Lost:
    """A picture whose file is not there, or is not what it was."""

    name: str
    sha256: str
    reason: str


@dataclass
class Originals:
    """Reads pictures one after the other and says how many are done."""

    store: PictureStore
    progress: Progress
    total: int
    done: int = 0
    lost: list[Lost] = field(default_factory=list)

    def of(self, pictures: Sequence[Listed]) -> Iterator[tuple[Listed, bytes]]:
        """Yield pictures with their bytes, but for those that are lost."""
        for picture in pictures:
            data = self._read(picture)
            if data is not None:
                yield picture, data
            self.done += 1
            self.progress.report(_("Writing pictures"), self.done, self.total)

    def _read(self, picture: Listed) -> bytes | None:
        reason = _("its file is not what it was when it came")
        try:
            data = self.store.original(picture.sha256, picture.format).read_bytes()
            if sha256(data).hexdigest() == picture.sha256:
                return data
        except FileNotFoundError:
            reason = _("its file is not there")
        except OSError as error:
            reason = _("its file cannot be read ({why})").format(why=error.strerror or error)
        self.lost.append(Lost(picture.name, picture.sha256, reason))
        return None
