"""Archives as sources: members are read in order, unsafe and oversized ones are rejected."""

import gzip
import io
import os
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from studio.collect.archives import ArchiveLimits, is_archive, sources_in_archive
from studio.errors import ArchiveRefused, ImageRefused
from tests.collect.material import files, image_bytes

CONTENT = files(
    "flower_photos/daisy/a.jpg", "flower_photos/해바라기 꽃/b 1.jpg", "flower_photos/daisy/more/c.jpg"
)


def zipped(path: Path, content: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, content: dict[str, bytes], format_number: int = tarfile.PAX_FORMAT) -> Path:
    mode = {".tar": "w", ".gz": "w:gz", ".tgz": "w:gz", ".xz": "w:xz", ".bz2": "w:bz2"}[path.suffix]
    with tarfile.open(path, mode, format=format_number) as archive:  # type: ignore[call-overload]
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


Written = Callable[[Path, dict[str, bytes]], Path]


def read_archive(path: Path, limits: ArchiveLimits | None = None) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return the content of the members that can be read, and the messages of the others."""
    taken, refused = {}, {}
    for source in sources_in_archive(path, limits=limits).sources:
        try:
            taken[source.name] = source.read()
        except ImageRefused as refusal:
            refused[source.name] = str(refusal)
    return taken, refused


@pytest.mark.parametrize(
    "name", ["in.zip", "in.tar", "in.tar.gz", "in.tgz", "in.tar.xz", "in.tar.bz2", "꽃 사진.zip"]
)
def test_every_kind_gives_the_same_files_and_classes(home: Path, name: str) -> None:
    litter = {"__MACOSX/._a.jpg": b"x", "flower_photos/.DS_Store": b"x"}
    path = (zipped if name.endswith("zip") else tarred)(home / name, {**CONTENT, **litter})
    assert is_archive(path)
    offer = sources_in_archive(path)
    assert offer.total == 3
    assert {source.name: (source.class_name, source.read()) for source in offer.sources} == {
        name: (name.split("/")[1], data) for name, data in CONTENT.items()
    }


def test_an_archive_is_known_by_its_bytes(home: Path) -> None:
    assert is_archive(zipped(home / "no ending", CONTENT))
    assert is_archive(tarred(home / "in.tar", CONTENT).rename(home / "neither"))
    (home / "a.jpg").write_bytes(image_bytes())
    assert not is_archive(home / "a.jpg")


def test_a_tar_whose_last_file_is_a_zip_is_a_tar(home: Path) -> None:
    inner = zipped(home / "inner", files("a.jpg")).read_bytes()
    taken, refused = read_archive(
        tarred(home / "in.tar", {"roses/a.jpg": image_bytes(), "roses/inner.zip": inner})
    )
    assert list(taken) == ["roses/a.jpg"]
    assert refused == {"roses/inner.zip": "roses/inner.zip is an archive inside an archive. Unpack it first."}


@pytest.mark.parametrize("format_number", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_korean_and_long_names_in_a_tar(home: Path, format_number: int) -> None:
    name = "해바라기/" + "긴이름" * 30 + ".jpg"
    assert list(read_archive(tarred(home / "in.tar", {name: b"x"}, format_number))[0]) == [name]


def test_a_tar_of_the_current_folder(home: Path) -> None:
    path = tarred(home / "in.tar", {f"./{name}": data for name, data in CONTENT.items()})
    assert {source.name: source.class_name for source in sources_in_archive(path).sources} == {
        name: name.split("/")[1] for name in CONTENT
    }


def test_korean_names_of_an_old_windows_zip(home: Path) -> None:
    path = home / "옛날.zip"
    stored = "장미 꽃/사진 1.jpg".encode("cp949")
    placeholder = "x" * len(stored)  # zipfile itself would write UTF-8 and say so
    zipped(path, {placeholder: b"x"})
    path.write_bytes(path.read_bytes().replace(placeholder.encode(), stored))
    found = [(source.name, source.class_name, source.read()) for source in sources_in_archive(path).sources]
    assert found == [("장미 꽃/사진 1.jpg", "장미 꽃", b"x")]


UNSAFE = [
    "../out.jpg",
    "roses/../../out.jpg",
    "/etc/out.jpg",
    "C:/out.jpg",
    "c:out.jpg",
    "roses\\..\\out.jpg",
    "\\\\host\\a.jpg",
]


@pytest.mark.parametrize("name", UNSAFE)
@pytest.mark.parametrize("write", [zipped, tarred])
def test_no_path_leads_out(home: Path, name: str, write: Written) -> None:
    path = write(home / ("in.zip" if write is zipped else "in.tar"), {"roses/a.jpg": b"good", name: b"bad"})
    before = sorted(home.rglob("*"))
    taken, refused = read_archive(path)
    assert taken == {"roses/a.jpg": b"good"}
    assert list(refused) == [name]
    assert "leads out of the archive" in refused[name]
    assert sorted(home.rglob("*")) == before


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_skipped(home: Path, kind: bytes) -> None:
    with tarfile.open(home / "in.tar", "w") as archive:
        info = tarfile.TarInfo("roses/link.jpg")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
        good = tarfile.TarInfo("roses/a.jpg")
        good.size = 4
        archive.addfile(good, io.BytesIO(b"good"))
    taken, refused = read_archive(home / "in.tar")
    assert taken == {"roses/a.jpg": b"good"}
    assert "link" in refused["roses/link.jpg"] or "special file" in refused["roses/link.jpg"]


def test_a_link_in_a_zip_is_skipped(home: Path) -> None:
    info = zipfile.ZipInfo("roses/link.jpg")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(home / "in.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    assert "is a link" in read_archive(home / "in.zip")[1]["roses/link.jpg"]


def test_an_encrypted_member_is_skipped_and_the_others_imported(home: Path) -> None:
    path = zipped(home / "in.zip", {"a.jpg": b"secret", "b.jpg": b"open"})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x03\x04") + 6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    taken, refused = read_archive(path)
    assert taken == {"b.jpg": b"open"}
    assert refused == {"a.jpg": "a.jpg is encrypted. Unpack the archive with its password first."}


def test_a_damaged_member_of_a_zip_costs_the_others_nothing(home: Path) -> None:
    path = zipped(home / "in.zip", {"a.jpg": b"A" * 99, "b.jpg": b"open"}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"A" * 99, b"B" * 99))
    taken, refused = read_archive(path)
    assert taken == {"b.jpg": b"open"}
    assert "damaged inside the archive" in refused["a.jpg"]


# --- Bombs ----------------------------------------------------------------------------------------------

ZEROS = b"\0" * 3_000_000
SMALL = ArchiveLimits(ratio=50, ratio_from_bytes=1_000_000)


def test_a_member_that_unpacks_to_far_more_than_it_is(home: Path) -> None:
    path = zipped(home / "in.zip", {"bomb.jpg": ZEROS, "a.jpg": b"good"})
    taken, refused = read_archive(path, SMALL)
    assert taken == {"a.jpg": b"good"}
    assert "refused as a bomb" in refused["bomb.jpg"]


def test_a_compressed_tar_that_unpacks_to_far_more_than_it_is(home: Path) -> None:
    with pytest.raises(ArchiveRefused, match="refused as a bomb"):
        read_archive(tarred(home / "in.tgz", {"bomb.jpg": ZEROS}), SMALL)


@pytest.mark.parametrize("write", [zipped, tarred])
def test_too_many_bytes_in_all(home: Path, write: Written) -> None:
    path = write(
        home / ("in.zip" if write is zipped else "in.tar"), {f"{n}.jpg": image_bytes(n) for n in range(40)}
    )
    with pytest.raises(ArchiveRefused, match="refused as a bomb"):
        read_archive(path, ArchiveLimits(total_bytes=20_000))


@pytest.mark.parametrize("write", [zipped, tarred])
def test_too_large_a_member(home: Path, write: Written) -> None:
    path = write(
        home / ("in.zip" if write is zipped else "in.tar"), {"a.jpg": os.urandom(3_000_001), "b.jpg": b"x"}
    )
    taken, refused = read_archive(path, ArchiveLimits(member_bytes=3_000_000))
    assert list(taken) == ["b.jpg"]
    assert refused["a.jpg"] == "a.jpg is larger than 3 MB: too large for an image."


@pytest.mark.parametrize("write", [zipped, tarred])
def test_too_many_files(home: Path, write: Written) -> None:
    path = write(home / ("in.zip" if write is zipped else "in.tar"), {f"{n}.jpg": b"" for n in range(11)})
    assert len(read_archive(path, ArchiveLimits(members=11))[0]) == 11
    with pytest.raises(ArchiveRefused, match="more than 10 files"):
        read_archive(path, ArchiveLimits(members=10))


def test_a_zip_that_lies_about_a_size_gives_no_more_than_it_says(home: Path) -> None:
    path = zipped(home / "in.zip", {"a.jpg": ZEROS, "b.jpg": b"good"})
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", len(ZEROS)), struct.pack("<I", 10)))
    taken, refused = read_archive(path)
    assert taken == {"b.jpg": b"good"}
    assert list(refused) == ["a.jpg"]


def test_a_tar_header_with_a_huge_size_is_rejected(home: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 4_000_000_000
    with gzip.open(home / "in.tgz", "wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        for _ in range(30):
            file.write(b"\0" * 1_000_000)
    tracemalloc.start()
    with pytest.raises(ArchiveRefused, match="broken"):
        read_archive(home / "in.tgz")
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_the_members_are_never_all_in_memory(home: Path) -> None:
    noise = os.urandom(1_000_000)
    for path in (
        zipped(home / "in.zip", {f"{n}": noise for n in range(12)}),
        tarred(home / "in.tgz", {f"{n}": noise for n in range(12)}),
    ):
        tracemalloc.start()
        assert sum(len(source.read()) for source in sources_in_archive(path).sources) == 12_000_000
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
        tracemalloc.stop()


# --- Broken archives ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["in.zip", "in.tar", "in.tgz", "in.tar.xz"])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.7])
def test_a_broken_archive_is_rejected_before_any_import(home: Path, name: str, kept: float) -> None:
    path = (zipped if name.endswith("zip") else tarred)(
        home / name, {f"roses/{n}.jpg": os.urandom(5000) for n in range(9)}
    )
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    assert is_archive(path)
    with pytest.raises(ArchiveRefused, match="is a broken archive, or none"):
        sources_in_archive(path)


def test_files_that_are_no_archives_are_rejected(home: Path) -> None:
    (home / "in.zip").write_bytes(image_bytes())
    with gzip.open(home / "in.tgz", "wb") as file:
        file.write(image_bytes())
    for name in ("in.zip", "in.tgz"):
        with pytest.raises(ArchiveRefused, match="is a broken archive, or none"):
            sources_in_archive(home / name)
