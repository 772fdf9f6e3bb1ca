"""Ingest: rows and files agree, duplicates are one image, and an interrupted import can be resumed."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from pathlib import Path

import psutil
import pytest
from sqlalchemy import func, select

from db import models
from db.labelling import LabelOperation, LabelTarget, record_operation
from studio.collect.ingest import IngestReport, SkippedFile
from studio.datasets.projects import create_project, project_classes
from studio.datasets.sources import Source
from studio.errors import ArchiveRefused, ProjectError, ServerError, Stopped
from studio.images.provenance import Provenance
from studio.images.store import ImageStore
from tests.collect.material import Bench, RecordingProgress, files, image_bytes, sources
from tests.conftest import NOW


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def originals(bench: Bench) -> set[str]:
    return {path.stem for path in (bench.store.root / "originals").rglob("*.*")}


def test_a_image_is_stored_described_and_labelled(bench: Bench) -> None:
    data = image_bytes(1, 400, 300)
    provenance = Provenance(
        "https://example.org/page", "A rose", "Jane", "CC BY 2.0", "https://example.org/by", "allowed"
    )
    report = bench.ingest([Source("장미/rose 1.jpg", lambda: data, "장미", "download", provenance)])
    assert report == IngestReport(added=1, duplicates=0, skipped=())
    assert bench.store.original(digest(data), "JPEG").read_bytes() == data
    assert (bench.store.root / "thumbnails" / digest(data)[:2] / f"{digest(data)}.jpg").exists()
    with bench.database.read() as session:
        image = session.scalars(select(models.ImageRow)).one()
        found = session.scalars(select(models.ProvenanceRow)).one()
    assert (image.sha256, image.format, image.width_px, image.height_px) == (digest(data), "JPEG", 400, 300)
    assert image.size_bytes == len(data)
    assert int(image.perceptual_hash, 16) >= 0
    assert len(image.perceptual_hash) == 16
    assert (found.kind, found.address, found.found_at) == ("download", "장미/rose 1.jpg", NOW)
    assert Provenance(
        found.page_address, found.title, found.creator, found.licence, found.licence_address, found.robots
    ) == provenance  # fmt: skip
    assert bench.labels() == {digest(data): "장미"}
    assert bench.outcomes() == {"장미/rose 1.jpg": ("added", "")}


def test_the_size_is_the_upright_one(bench: Bench) -> None:
    from io import BytesIO

    from PIL import Image

    file, exif = BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (640, 480), "red").save(file, "JPEG", exif=exif)
    bench.ingest(sources({"a.jpg": file.getvalue()}))
    with bench.database.read() as session:
        assert session.execute(select(models.ImageRow.width_px, models.ImageRow.height_px)).one() == (
            480,
            640,
        )


def test_classes_come_in_the_order_they_are_seen(bench: Bench) -> None:
    names = ["tulips", "daisy", "tulips", None, "roses"]
    bench.ingest([Source(f"{n}", lambda n=n: image_bytes(n), name) for n, name in enumerate(names)])  # type: ignore[misc]
    bench.ingest([Source("later", lambda: image_bytes(9), "asters")])
    with bench.database.read() as session:
        found = [(c.name, c.position) for c in project_classes(session, bench.project_id)]
    assert found == [("tulips", 0), ("daisy", 1), ("roses", 2), ("asters", 3)]
    assert sorted(map(str, bench.labels().values())) == [
        "None",
        "asters",
        "daisy",
        "roses",
        "tulips",
        "tulips",
    ]


# --- Copies ---------------------------------------------------------------------------------------------


def labelled_sources(*each: tuple[str, int, str | None]) -> list[Source]:
    return [Source(name, lambda seed=seed: image_bytes(seed), class_name) for name, seed, class_name in each]  # type: ignore[misc]


def test_the_same_image_twice_is_one(bench: Bench) -> None:
    report = bench.ingest(
        labelled_sources(("a", 1, "roses"), ("b", 1, "roses"), ("c", 1, "tulips"), ("d", 2, "roses"))
    )
    assert report == IngestReport(added=2, duplicates=2, skipped=())
    assert bench.outcomes() == {
        "a": ("added", ""),
        "b": ("copy", "already in the project as roses (a)"),
        "c": ("copy", "already in the project as roses (a)"),
        "d": ("added", ""),
    }
    assert bench.labels() == {digest(image_bytes(1)): "roses", digest(image_bytes(2)): "roses"}


def test_importing_again_gives_only_duplicates_and_changes_no_label(bench: Bench) -> None:
    content = labelled_sources(("a", 1, "roses"), ("b", 2, None))
    bench.ingest(content)
    before = bench.labels()
    assert bench.ingest(content) == IngestReport(added=0, duplicates=2, skipped=())
    assert bench.labels() == before
    with bench.database.read() as session:
        assert session.scalar(select(func.count()).select_from(models.ProvenanceRow)) == 2
        assert session.scalar(select(func.count()).select_from(models.LabelChangeRow)) == 2


def test_a_duplicate_labels_an_image_without_a_class(bench: Bench) -> None:
    bench.ingest(labelled_sources(("a", 1, None)))
    bench.ingest(labelled_sources(("b", 1, "roses"), ("c", 1, "tulips")))
    assert bench.labels() == {digest(image_bytes(1)): "roses"}
    assert bench.outcomes()["b"] == ("copy", "already in the project (a); now labelled roses")
    assert bench.outcomes()["c"] == ("copy", "already in the project as roses (a)")
    bench.ingest(labelled_sources(("d", 1, None)))
    assert bench.labels() == {digest(image_bytes(1)): "roses"}


def test_a_duplicate_leaves_a_rejected_image_rejected(bench: Bench) -> None:
    bench.ingest(labelled_sources(("a", 1, "roses")))
    with bench.database.write() as session:
        image_id = session.scalars(select(models.ImageRow.id)).one()
        record_operation(
            session, LabelOperation("r", bench.project_id, NOW, {image_id: LabelTarget("rejected")})
        )
    bench.ingest(labelled_sources(("b", 1, "roses")))
    assert bench.labels() == {digest(image_bytes(1)): None}
    assert bench.outcomes()["b"] == ("copy", "already in the project, rejected (a)")


def test_another_project_shares_the_file_and_not_the_label(bench: Bench) -> None:
    with bench.database.write() as session:
        other = Bench(bench.database, bench.store, create_project(session, "other", NOW).id)
    bench.ingest(labelled_sources(("a", 1, "roses")))
    assert other.ingest(labelled_sources(("x", 1, "red"))) == IngestReport(1, 0, ())
    assert (bench.labels(), other.labels()) == (
        {digest(image_bytes(1)): "roses"},
        {digest(image_bytes(1)): "red"},
    )
    assert originals(bench) == {digest(image_bytes(1))}


# --- Ends ahead of time ---------------------------------------------------------------------------------


def test_stop_keeps_what_is_done_and_leaves_nothing_half_written(bench: Bench) -> None:
    content = {f"{n}.jpg": image_bytes(n) for n in range(60)}
    bench.progress = RecordingProgress(stop_at=20)
    with pytest.raises(Stopped):
        bench.ingest(sources(content))
    kept = bench.labels()
    assert 20 <= len(kept) < 40
    assert originals(bench) == set(kept)
    assert not list(bench.store.root.rglob("*.part"))


def test_a_job_taken_up_again_reads_nothing_twice(bench: Bench) -> None:
    content = {f"{n}.jpg": image_bytes(n) for n in range(40)} | {"bad.jpg": b"", "copy.jpg": image_bytes(0)}
    reads: list[str] = []

    def read(name: str, data: bytes) -> bytes:
        reads.append(name)
        return data

    def watched() -> Iterator[Source]:
        for name, data in content.items():
            yield Source(name, partial(read, name, data), "daisy")

    job = bench.job()
    bench.progress = RecordingProgress(stop_at=25)
    with pytest.raises(Stopped):
        bench.ingest(watched(), job_id=job)
    done = set(bench.outcomes())
    assert done == set(reads)
    reads.clear()
    bench.progress = RecordingProgress()
    report = bench.ingest(watched(), job_id=job)
    assert (report.added, report.duplicates, [r.name for r in report.skipped]) == (40, 1, ["bad.jpg"])
    assert set(reads) == set(content) - done
    assert bench.progress.reports[0][1] == len(done)
    assert bench.ingest(watched(), job_id=job) == report
    assert bench.ingest(watched(), job_id=bench.job()).duplicates == 41


def test_an_archive_that_breaks_on_the_way_costs_nothing_before_it(bench: Bench) -> None:
    def broken() -> Iterator[Source]:
        yield from sources(files("a.jpg", "b.jpg"))
        raise ArchiveRefused("broken")

    with pytest.raises(ArchiveRefused):
        bench.ingest(broken())
    assert len(bench.labels()) == 2


def test_a_full_disk_ends_it_with_a_reason(bench: Bench, home: Path) -> None:
    (home / "full").write_bytes(b"")
    bench.store = ImageStore(home / "full")
    with pytest.raises(ServerError, match="cannot be written"):
        bench.ingest(sources(files("a.jpg", "b.jpg")))
    assert bench.labels() == {}


def test_a_deleted_project_is_an_error(bench: Bench) -> None:
    bench.project_id = 999
    with pytest.raises(ProjectError, match="no such project"):
        bench.ingest(sources(files("a.jpg")))


def test_nothing_on_offer_is_an_empty_report(bench: Bench) -> None:
    assert bench.ingest([]) == IngestReport(0, 0, ())


def test_progress_counts_every_file(bench: Bench) -> None:
    bench.ingest(sources({**files("a.jpg", "b.jpg"), "c.jpg": b""}))
    assert [done for _phase, done, _total in bench.progress.reports] == [0, 1, 2, 3]


# --- Many ------------------------------------------------------------------------------------------------


def test_two_ingests_at_once_share_the_work_without_a_row_twice(bench: Bench) -> None:
    content = {f"{n}.jpg": image_bytes(n) for n in range(80)}
    start = threading.Barrier(2)

    def run(order: int) -> IngestReport:
        start.wait()
        return bench.ingest(sources(dict(list(content.items())[::order])))

    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(run, (1, -1)))
    assert sum(report.added for report in reports) == 80
    assert sum(report.duplicates for report in reports) == 80
    assert set(bench.labels()) == {digest(data) for data in content.values()} == originals(bench)
    with bench.database.read() as session:
        assert [c.name for c in project_classes(session, bench.project_id)] == ["daisy"]
        assert session.scalar(select(func.count()).select_from(models.LabelChangeRow)) == 80


def test_memory_stays_flat(bench: Bench) -> None:
    noise = os.urandom(250_000)  # behind the image's end, where no decoder looks

    def many(first: int, end: int) -> Iterator[Source]:
        for n in range(first, end):
            yield Source(f"{n}.jpg", lambda n=n: image_bytes(n) + noise, "daisy")  # type: ignore[misc]

    process = psutil.Process()
    bench.ingest(many(0, 100))
    before = process.memory_info().rss
    bench.ingest(many(100, 500))  # 100 MB
    assert process.memory_info().rss - before < 50_000_000


def test_one_bad_file_is_one_line(bench: Bench) -> None:
    report = bench.ingest(sources({"a.jpg": b"", **files("b.jpg")}))
    assert report == IngestReport(
        1, 0, (SkippedFile("a.jpg", "a.jpg is empty: expected an image.", "damaged"),)
    )
    assert bench.outcomes()["a.jpg"] == ("refused", "a.jpg is empty: expected an image.")
