"""Atomic file writes (temporary name, flush, rename), and where the program's own files are."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

_ROOT = Path(__file__).resolve().parents[1]
APP_DIR = _ROOT if (_ROOT / "streamlit_app.py").is_file() else Path(__file__).with_name("app")
"""The folder with `streamlit_app.py`, `pages/` and `.streamlit/`: a checkout, or `studio/app` of a wheel."""


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    if not path.parent.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
    # Unique, so that two processes can write the same file.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_bytes(path: Path, *, flushed: bool = True) -> Iterator[BinaryIO]:
    """Open `path` for writing bytes; the file appears, flushed to the disk, only if the block succeeds.

    Without `flushed`, a crash of the machine (not of the process) may leave it truncated: for files that
    can be made again and are checked when read.
    """
    with _temporary(path) as temporary, temporary.open("wb") as file:
        yield cast(BinaryIO, file)
        if flushed:
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def atomic_text(path: Path) -> Iterator[IO[str]]:
    r"""Open `path` for writing UTF-8 text with \n lines; the file appears only if the block succeeds."""
    with _temporary(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
