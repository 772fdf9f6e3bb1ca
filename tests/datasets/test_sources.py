"""Folders as sources."""

import os
import sys
from pathlib import Path

import pytest

from studio.datasets.sources import folder_sources
from studio.errors import ImageRefused, SourceMissing
from tests.collect.material import files, write_files


def test_a_folder_of_class_folders(home: Path) -> None:
    content = files("해바라기 꽃/사진 1.jpg", "roses/a.jpg", "roses/deep/b.jpg", "loose.jpg")
    write_files(
        home / "in", {**content, ".DS_Store": b"x", "__MACOSX/._a.jpg": b"x", "roses/Thumbs.db": b"x"}
    )
    sources = folder_sources(home / "in")
    found = {source.name: (source.class_name, source.read()) for source in sources.sources}
    assert found == {
        "loose.jpg": (None, content["loose.jpg"]),
        "roses/a.jpg": ("roses", content["roses/a.jpg"]),
        "roses/deep/b.jpg": ("roses", content["roses/deep/b.jpg"]),
        "해바라기 꽃/사진 1.jpg": ("해바라기 꽃", content["해바라기 꽃/사진 1.jpg"]),
    }
    assert sources.total == 4


def test_a_missing_folder_is_reported(home: Path) -> None:
    with pytest.raises(SourceMissing, match="there is none at"):
        folder_sources(home / "없음")


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_links_are_followed_only_inside(home: Path) -> None:
    write_files(home, files("in/roses/a.jpg", "secret/b.jpg"))
    folder = home / "in" / "roses"
    (folder / "inside.jpg").symlink_to(folder / "a.jpg")
    (folder / "outside.jpg").symlink_to(home / "secret" / "b.jpg")
    (folder / "nowhere.jpg").symlink_to(home / "nowhere")
    (folder / "circle").symlink_to(home / "in", target_is_directory=True)
    os.mkfifo(folder / "pipe.jpg")
    read = {}
    for source in folder_sources(home / "in").sources:
        try:
            read[source.name] = len(source.read())
        except ImageRefused as refusal:
            assert "link" in str(refusal) or "not a plain file" in str(refusal)
    assert set(read) == {"roses/a.jpg", "roses/inside.jpg"}


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is forbidden to root or here"
)
def test_what_is_forbidden_is_refused(home: Path) -> None:
    write_files(home, files("in/roses/a.jpg", "in/locked/b.jpg", "in/roses/c.jpg"))
    (home / "in" / "locked").chmod(0)
    (home / "in" / "roses" / "c.jpg").chmod(0)
    reasons = []
    for source in folder_sources(home / "in").sources:
        try:
            source.read()
        except ImageRefused as refusal:
            reasons.append(str(refusal))
    (home / "in" / "locked").chmod(0o755)
    assert reasons == ["The folder locked cannot be read.", "roses/c.jpg cannot be read: Permission denied."]
