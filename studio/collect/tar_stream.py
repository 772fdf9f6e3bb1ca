"""The bytes of a tar archive as they are unpacked, watched."""

import io
from collections.abc import Callable
from typing import IO

_CHUNK_BYTES = 1 << 20
_LONGEST_HEADER_BYTES = 4 << 20
_BLOCK_BYTES = 512


class TarStream(io.RawIOBase):
    """A file that is read forward only, for `tarfile`, and that tells `check` how many bytes have come.

    `tarfile` passes over a member by seeking and reads a member's long name in one piece, however long its
    header says that it is: both go through here in bounded steps.
    """

    def __init__(self, file: IO[bytes], check: Callable[[int], None]) -> None:
        self._file, self._check = file, check
        self._at = 0
        self._last = b""

    @property
    def ended_well(self) -> bool:
        """Whether what was read last is the empty block that ends an archive, or the file's own end."""
        return not self._last.strip(b"\0") and len(self._last) in (0, _BLOCK_BYTES)

    def read(self, size: int = -1, /) -> bytes:
        """Read `size` bytes. Raises ValueError for a size that only a forged header asks for."""
        if not 0 <= size <= _LONGEST_HEADER_BYTES:
            raise ValueError(f"a header of {size:,} bytes")
        self._last = self._file.read(size)
        self._at += len(self._last)
        self._check(self._at)
        return self._last

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Read on to `offset`. Raises ValueError for a step back, and EOFError behind the end."""
        if whence != io.SEEK_SET or offset < self._at:
            raise ValueError("a step back")
        while self._at < offset:
            if not self.read(min(_CHUNK_BYTES, offset - self._at)):
                raise EOFError("it ends in the middle")
        return self._at

    def tell(self) -> int:
        """Return how many bytes have come."""
        return self._at

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes, to `tarfile`, which only steps forward."""
        return True
