"""Near copies: found while images come in, looked at again with bottlenecks, set aside only when asked."""

import io
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import imagehash
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageEnhance, ImageOps
from sqlalchemy import select

from db import models
from db.duplicate_groups import memberships, merge_pairs
from db.labelling import LabelOperation, LabelTarget, record_operation
from studio.collect.ingest import IngestReport
from studio.collect.sample_data import sample_shapes
from studio.datasets.projects import create_project
from studio.datasets.sources import Source
from studio.errors import Stopped
from studio.images.near_duplicates import (
    DuplicateCounts,
    DuplicateGroup,
    NearDuplicateIndex,
    count_duplicates,
    duplicate_groups,
    refine_duplicate_groups,
    reject_duplicates,
    run_image_ids,
)
from studio.images.similarity import (
    NEAR_DUPLICATE_BITS,
    hamming_distance,
    perceptual_hash,
    thumbnail_vector,
    thumbnails_match,
)
from studio.progress import Silent
from tests.collect.material import Bench, RecordingProgress, image_bytes, sources
from tests.conftest import FLOWERS, NOW
from tests.curate.material import apply_as, undo_operation

Edit = Callable[[Image.Image], Image.Image]
EDITS: dict[str, Edit] = {
    "smaller": lambda image: image.resize((image.width // 2, image.height // 2)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "compressed": lambda image: image,
    "mirrored": ImageOps.mirror,
}


def edited(data: bytes, edit: str) -> bytes:
    file = io.BytesIO()
    EDITS[edit](Image.open(io.BytesIO(data)).convert("RGB")).save(file, "JPEG", quality=40)
    return file.getvalue()


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def plain(colour: str, width_px: int = 200) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width_px, 200), colour).save(file, "PNG")
    return file.getvalue()


def groups(bench: Bench) -> list[set[str]]:
    return [{member.name for member in group.members} for group in found(bench)]


def found(bench: Bench) -> tuple[DuplicateGroup, ...]:
    with bench.database.read() as session:
        return duplicate_groups(session, bench.project_id)


def counted(bench: Bench) -> DuplicateCounts:
    with bench.database.read() as session:
        return count_duplicates(session, bench.project_id)


def ids(bench: Bench) -> dict[str, int]:
    """The image ids of the project's images by their names."""
    with bench.database.read() as session:
        rows = session.execute(
            select(models.ProvenanceRow.address, models.ProvenanceRow.image_id)
            .filter_by(project_id=bench.project_id)
            .order_by(models.ProvenanceRow.id.desc())
        )
        return {name: image_id for name, image_id in rows}  # noqa: C416 - dict(rows) does not type-check


def reject_all_duplicates(bench: Bench, operation_id: str = "aside") -> int:
    with bench.database.write() as session:
        return reject_duplicates(session, bench.project_id, operation_id=operation_id, now=NOW)


# --- While images come in ------------------------------------------------------------------------------


def test_edits_of_an_image_are_added_and_grouped_with_it(bench: Bench) -> None:
    big = image_bytes(1, 600, 400)
    others = {f"{edit} 장미.jpg": edited(big, edit) for edit in EDITS}
    bench.ingest(sources({"a.jpg": big, "b.jpg": image_bytes(2, 600, 400)}))
    report = bench.ingest(sources(others, "tulips"))
    assert report == IngestReport(added=4, duplicates=0, skipped=(), near_duplicates=4)
    assert groups(bench) == [{"a.jpg", *others}]
    assert {bench.outcomes()[name] for name in others} == {("added", "nearly the same as a.jpg")}
    assert bench.outcomes()["b.jpg"] == ("added", "")
    assert counted(bench) == DuplicateCounts(groups=1, images_beyond_keepers=4)


def test_those_of_one_batch_are_compared_with_each_other(bench: Bench) -> None:
    big = image_bytes(1, 600, 400)
    report = bench.ingest(
        sources({"small.jpg": edited(big, "smaller"), "x.jpg": image_bytes(2), "big.jpg": big})
    )
    assert report == IngestReport(added=3, duplicates=0, skipped=(), near_duplicates=1)
    assert bench.outcomes()["big.jpg"] == ("added", "nearly the same as small.jpg")
    (group,) = found(bench)
    assert group.id == ids(bench)["small.jpg"]
    assert group.keeper.name == "big.jpg"


def test_one_that_resembles_two_groups_makes_them_one(bench: Bench) -> None:
    bench.ingest(sources({name: image_bytes(seed) for seed, name in enumerate("abcde")}))
    at = ids(bench)
    with bench.database.write() as session:
        merge_pairs(session, bench.project_id, [(at["c"], at["d"]), (at["a"], at["b"])])
    assert [group.id for group in found(bench)] == [at["a"], at["c"]]
    with bench.database.write() as session:
        merge_pairs(session, bench.project_id, [(at["d"], at["e"]), (at["b"], at["e"])])
    (group,) = found(bench)
    assert (group.id, {member.name for member in group.members}) == (at["a"], set("abcde"))


def test_the_keeper_is_the_largest_by_pixels_then_bytes_then_age(bench: Bench) -> None:
    big = image_bytes(1, 600, 400)
    content = {
        "light": edited(big, "compressed"),
        "heavy": big,
        "small": edited(big, "smaller"),
        "light again": edited(big, "brighter"),
    }
    bench.ingest(sources(content))
    (group,) = found(bench)
    names = [member.name for member in group.members]
    assert (names[0], names[-1]) == ("heavy", "small")
    keeper = group.keeper
    assert (keeper.width_px, keeper.height_px, keeper.size_bytes) == (600, 400, len(big))
    assert keeper.class_name == "daisy"


def test_plain_images_match_nothing(bench: Bench) -> None:
    report = bench.ingest(
        sources({f"{c} {w}": plain(c, w) for c in ("white", "black", "red") for w in (200, 300)})
    )
    assert (report.added, report.near_duplicates) == (6, 0)
    assert counted(bench) == DuplicateCounts(0, 0)
    assert thumbnail_vector(Image.new("RGB", (50, 50), "white")) is None
    assert not thumbnails_match(None, None)


@pytest.mark.parametrize("seed", range(20))
def test_hashes_are_those_of_the_library(seed: int) -> None:
    image = Image.open(io.BytesIO(image_bytes(seed, 200, 100 + seed))).convert("RGB")
    assert perceptual_hash(image) == str(imagehash.phash(image))


def test_a_mirrored_image_is_as_near_as_itself() -> None:
    image = Image.open(io.BytesIO(image_bytes(1, 200, 100))).convert("RGB")
    hashes = np.array([int(perceptual_hash(i), 16) for i in (image, ImageOps.mirror(image))], np.uint64)
    assert np.bitwise_count(hashes[0] ^ hashes[1]) > NEAR_DUPLICATE_BITS
    assert hamming_distance(hashes[:1], hashes[1]) <= NEAR_DUPLICATE_BITS


@pytest.mark.parametrize("colour", ["white", "black", "red"])
def test_hashes_of_plain_images_are_those_of_the_library(colour: str) -> None:
    image = Image.new("RGB", (70, 50), colour)
    assert perceptual_hash(image) == str(imagehash.phash(image))


def test_plain_shapes_are_not_taken_for_each_other(bench: Bench) -> None:
    report = bench.ingest(sample_shapes(np.random.default_rng(0), 15).sources)
    assert (report.added, report.near_duplicates) == (60, 0)


@pytest.mark.skipif(not FLOWERS.exists(), reason="no photographs at ../shared/data/flowers")
def test_photographs_are_found_again_and_not_taken_for_each_other(bench: Bench) -> None:
    photographs = {path.name: path.read_bytes() for path in sorted(FLOWERS.rglob("*.jpg"))[::40]}
    assert bench.ingest(sources(photographs)).near_duplicates == 0
    for edit in EDITS:
        again = {f"{edit} {name}": edited(data, edit) for name, data in photographs.items()}
        assert bench.ingest(sources(again)).near_duplicates == len(photographs)
    assert counted(bench) == DuplicateCounts(len(photographs), len(EDITS) * len(photographs))


def test_a_job_taken_up_again_counts_near_duplicates_of_the_whole_job(bench: Bench) -> None:
    big = [image_bytes(seed, 600, 400) for seed in range(8)]
    content = {f"{n}": data for n, data in enumerate(big)}
    content |= {f"{n} small": edited(data, "smaller") for n, data in enumerate(big)}
    job = bench.job()
    bench.progress = RecordingProgress(stop_at=11)
    with pytest.raises(Stopped):
        bench.ingest(sources(content), job_id=job)
    assert len(bench.labels()) < len(content)
    bench.progress = RecordingProgress()
    report = bench.ingest(sources(content), job_id=job)
    assert (report.added, report.near_duplicates) == (16, 8)
    assert counted(bench) == DuplicateCounts(8, 8)


def test_two_ingests_at_once_find_each_others_images(bench: Bench) -> None:
    big = {f"{n}": image_bytes(n, 400, 300) for n in range(40)}
    small = {f"{name} small": edited(data, "smaller") for name, data in big.items()}
    start = threading.Barrier(2)

    def run(content: dict[str, bytes]) -> IngestReport:
        start.wait()
        return bench.ingest(sources(content))

    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(run, (big, small)))
    assert sum(report.near_duplicates for report in reports) == 40
    assert sorted(map(sorted, groups(bench))) == sorted(sorted((name, f"{name} small")) for name in big)


def test_an_image_that_another_project_had_first_is_compared_too(bench: Bench) -> None:
    big = image_bytes(1, 600, 400)
    small = edited(big, "smaller")
    with bench.database.write() as session:
        other = Bench(bench.database, bench.store, create_project(session, "other", NOW).id)
    other.ingest(sources({"elsewhere": small}))
    bench.ingest(sources({"big": big}))
    assert found(other) == ()
    assert bench.ingest(sources({"small": small})).near_duplicates == 1
    assert [group.id for group in found(bench)] == [ids(bench)["big"]]  # it was here first
    assert found(other) == ()


def test_the_search_sees_what_others_added_with_older_ids(bench: Bench) -> None:
    big = image_bytes(1, 600, 400)
    with bench.database.write() as session:
        other = Bench(bench.database, bench.store, create_project(session, "other", NOW).id)
    other.ingest(sources({"old": big}))
    search = NearDuplicateIndex(bench.store, bench.project_id)
    bench.ingest(sources({"x": image_bytes(5)}))
    with bench.database.write() as session:
        assert search.find_pairs(session, [ids(bench)["x"]]) == []
    bench.ingest(sources({"old": big}))  # by another search, as by another process
    bench.ingest(sources({"small": edited(big, "smaller")}))
    at = ids(bench)
    with bench.database.write() as session:
        assert search.find_pairs(session, [at["small"]]) == [(at["old"], at["small"])]


def test_an_image_whose_file_is_lost_matches_nothing(bench: Bench) -> None:
    big = image_bytes(1, 600, 400)
    bench.ingest(sources({"a": big}))
    for path in bench.store.root.rglob("*.*"):
        path.unlink()
    assert bench.ingest(sources({"b": edited(big, "smaller")})).near_duplicates == 0


# --- With bottlenecks -------------------------------------------------------------------------------------


class Embedded:
    """Images a … f of a project, with vectors of our choosing: at right angles but where said otherwise."""

    def __init__(self, bench: Bench, names: str = "abcdef") -> None:
        self.bench = bench
        bench.ingest(sources({name: image_bytes(seed) for seed, name in enumerate(names)}))
        self.ids = ids(bench)
        self.names = {image_id: name for name, image_id in self.ids.items()}
        self.vectors = {
            name: np.eye(2 * len(names), dtype=np.float32)[2 * at] for at, name in enumerate(names)
        }

    def near(self, one: str, other: str, cosine: float) -> None:
        """Give `one` a vector at this cosine to that of `other`."""
        own = np.zeros_like(self.vectors[one])
        own[2 * "abcdef".index(one) + 1] = 1
        base = self.vectors[other] / np.linalg.norm(self.vectors[other])
        self.vectors[one] = np.float32(3) * (cosine * base + np.sqrt(1 - cosine**2) * own).astype(np.float32)

    def hashes(self, **digits: str) -> None:
        with self.bench.database.write() as session:
            for name, hexadecimal in digits.items():
                image = session.get(models.ImageRow, self.ids[name])
                assert image is not None
                image.perceptual_hash = hexadecimal.rjust(16, "0")

    def join(self, *pairs: str) -> None:
        with self.bench.database.write() as session:
            merge_pairs(
                session, self.bench.project_id, [(self.ids[pair[0]], self.ids[pair[1]]) for pair in pairs]
            )

    def refine(self, names: Iterable[str] = "abcdef", new: str | None = None) -> list[str]:
        names = list(names)
        vectors: npt.NDArray[np.float32] = np.stack([self.vectors[name] for name in names])
        refine_duplicate_groups(
            self.bench.database,
            self.bench.project_id,
            [self.ids[name] for name in names],
            vectors,
            new=None if new is None else [self.ids[name] for name in new],
            progress=Silent(),
        )
        return self.groups()

    def groups(self) -> list[str]:
        return sorted("".join(sorted(group)) for group in groups(self.bench))

    def found_by(self) -> dict[str, str]:
        with self.bench.database.read() as session:
            rows = memberships(session, self.bench.project_id)
        return {self.names[image_id]: row.found_by for image_id, row in rows.items()}


@pytest.fixture
def embedded(bench: Bench) -> Embedded:
    return Embedded(bench)


def test_bottlenecks_find_what_hashes_do_not(embedded: Embedded) -> None:
    embedded.near("b", "a", 0.94)
    embedded.near("d", "c", 0.92)  # not near enough, for their hashes are far apart
    assert embedded.refine() == ["ab"]
    assert embedded.found_by() == {"a": "bottleneck", "b": "bottleneck"}


def test_between_the_two_thresholds_hashes_decide(embedded: Embedded) -> None:
    embedded.near("b", "a", 0.75)
    embedded.near("d", "c", 0.75)
    embedded.near("f", "e", 0.55)
    embedded.hashes(a="3ff", b="0", c="7ff0000", d="0", e="f" * 12, f="f" * 12)
    assert embedded.refine() == ["ab"]  # 10 bits apart; c and d are 11, e and f none


def test_groups_that_bottlenecks_deny_are_dissolved_or_split(embedded: Embedded) -> None:
    embedded.hashes(a="f", b="f", c="f", d="f", e="f0000", f="f0000")
    embedded.join("ab", "bc", "cd", "ef")
    embedded.near("b", "a", 0.8)
    embedded.near("d", "c", 0.8)
    embedded.near("f", "e", 0.55)
    first = {group.id for group in found(embedded.bench)}
    assert first == {embedded.ids["a"], embedded.ids["e"]}
    assert embedded.refine() == ["ab", "cd"]
    assert {group.id for group in found(embedded.bench)} == {
        embedded.ids["a"],
        min(embedded.ids["c"], embedded.ids["d"]),
    }
    assert set(embedded.found_by().values()) == {"hash"}


def test_what_thumbnails_showed_is_kept_where_bottlenecks_do_not_deny_it(embedded: Embedded) -> None:
    embedded.hashes(a="fff", b="0", c="fff0000", d="0")
    embedded.near("b", "a", 0.75)
    embedded.near("d", "c", 0.75)
    embedded.join("ab")
    assert embedded.refine() == ["ab"]  # 12 bits apart both, but only a and b were looked at


def test_groups_merge_and_keep_the_older_id(embedded: Embedded) -> None:
    embedded.hashes(a="0", b="0", c="ffffff", d="ffffff")
    embedded.join("ab", "cd")
    embedded.near("b", "a", 0.99)
    embedded.near("c", "b", 0.95)
    embedded.near("d", "c", 0.99)
    assert embedded.refine() == ["abcd"]
    assert [group.id for group in found(embedded.bench)] == [embedded.ids["a"]]


def test_refining_twice_changes_nothing(embedded: Embedded) -> None:
    embedded.hashes(a="f", b="f", c="f")
    embedded.join("ab", "bc")
    embedded.near("b", "a", 0.8)
    embedded.near("f", "e", 0.95)
    assert embedded.refine() == ["ab", "ef"]
    before = found(embedded.bench)
    assert embedded.refine() == ["ab", "ef"]
    assert found(embedded.bench) == before


def test_only_new_ones_are_compared_where_that_is_asked(embedded: Embedded) -> None:
    embedded.near("b", "a", 0.95)
    embedded.near("d", "c", 0.95)
    embedded.near("f", "d", 0.95)
    assert embedded.refine(new="f") == ["df"]
    assert embedded.refine(new="bf") == ["ab", "df"]
    assert embedded.refine() == ["ab", "cdf"]


def test_an_image_without_a_vector_stays_where_its_hash_is(embedded: Embedded) -> None:
    embedded.hashes(a="f", b="f", c="f", d="f0000", e="f0000")
    embedded.join("ab", "bc", "de")
    assert embedded.refine("abf") == ["abc", "de"]  # c links a and b: nothing is known of it
    assert embedded.refine("abcf") == ["de"]


def test_what_a_bottleneck_found_outlives_its_vector(embedded: Embedded) -> None:
    embedded.near("b", "a", 0.95)
    embedded.near("c", "b", 0.95)
    assert embedded.refine() == ["abc"]
    assert embedded.refine("abdef") == ["abc"]


def test_many_blocks_give_what_one_does(embedded: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded.near("c", "a", 0.95)
    embedded.near("e", "c", 0.95)
    embedded.near("f", "b", 0.95)
    monkeypatch.setattr("studio.images.near_duplicates._BLOCK_ROWS", 2)
    monkeypatch.setattr("studio.images.near_duplicates._BLOCK_COLUMNS", 1)
    assert embedded.refine() == ["ace", "bf"]


def test_what_a_finished_run_trained_on_is_not_new_to_the_next(embedded: Embedded) -> None:
    bench = embedded.bench
    with bench.database.write() as session:
        runs = []
        for number, (names, ended_at) in enumerate([("abc", NOW), ("abcd", None), ("bcef", NOW)]):
            frozen = models.SnapshotRow(project_id=bench.project_id, hash=str(number), created_at=NOW)
            session.add(frozen)
            session.flush()
            for name in names:
                session.add(
                    models.SnapshotImageRow(
                        snapshot_id=frozen.id,
                        image_id=embedded.ids[name],
                        class_name="daisy",
                        split="training",
                    )
                )
            run = models.RunRow(
                project_id=bench.project_id,
                snapshot_id=frozen.id,
                folder=str(number),
                options={},
                created_at=NOW,
                ended_at=ended_at,
            )
            session.add(run)
            session.flush()
            runs.append(run.id)
    with bench.database.read() as session:
        images, new = run_image_ids(session, runs[1])
        assert {embedded.names[image_id] for image_id in images.values()} == set("abcd")
        assert new == {embedded.ids["d"]}
        assert images[digest(image_bytes(0))] == embedded.ids["a"]
        assert run_image_ids(session, runs[2])[1] == set()


def test_a_stop_leaves_the_groups_as_they_were(embedded: Embedded) -> None:
    embedded.join("ab")
    with pytest.raises(Stopped):
        refine_duplicate_groups(
            embedded.bench.database,
            embedded.bench.project_id,
            list(embedded.ids.values()),
            np.eye(len(embedded.ids), dtype=np.float32),
            progress=RecordingProgress(stop_at=0),
        )
    assert embedded.groups() == ["ab"]


# --- Setting aside ---------------------------------------------------------------------------------------


def test_all_but_the_keepers_are_rejected_at_once_and_can_be_undone(bench: Bench) -> None:
    big = [image_bytes(seed, 600, 400) for seed in (1, 2)]
    bench.ingest(sources({"small": edited(big[0], "smaller"), "other": image_bytes(3)}, "roses"))
    bench.ingest(sources({"big": big[0]}, None))
    bench.ingest(sources({"b": big[1]}, "tulips"))
    bench.ingest(sources({"b small": edited(big[1], "smaller")}, "roses"))
    before = bench.labels()
    assert reject_all_duplicates(bench) == 2
    at = ids(bench)
    with bench.database.read() as session:
        label = models.LabelRow
        rows = session.execute(
            select(label.image_id, label.state, models.ImageClassRow.name)
            .join(models.ImageClassRow, models.ImageClassRow.id == label.class_id, isouter=True)
            .filter(label.project_id == bench.project_id)
        )
        states = {image_id: (state, name) for image_id, state, name in rows}
    assert {name: states[image_id] for name, image_id in at.items()} == {
        "small": ("rejected", None),
        "big": ("labelled", "roses"),  # as its copies are
        "other": ("labelled", "roses"),
        "b": ("labelled", "tulips"),
        "b small": ("rejected", None),
    }
    assert counted(bench) == DuplicateCounts(0, 0)
    assert reject_all_duplicates(bench) == 0
    assert reject_all_duplicates(bench, "again") == 0
    with bench.database.write() as session:
        (undone,) = apply_as(session, bench.project_id, "", undo_operation("undo", "aside"))
    assert len(undone.changes or ()) == 3
    assert bench.labels() == before
    assert counted(bench) == DuplicateCounts(2, 2)


def test_a_keeper_gets_no_class_where_its_duplicates_differ(bench: Bench) -> None:
    big = image_bytes(1, 600, 400)
    bench.ingest(sources({"a": edited(big, "smaller")}, "roses"))
    bench.ingest(sources({"b": edited(big, "brighter")}, "tulips"))
    bench.ingest(sources({"big": big}, None))
    assert reject_all_duplicates(bench) == 2
    assert set(bench.labels().values()) == {None}


def test_what_was_rejected_is_no_keeper(bench: Bench) -> None:
    big = image_bytes(1, 600, 400)
    bench.ingest(sources({"big": big, "small": edited(big, "smaller"), "light": edited(big, "compressed")}))
    with bench.database.write() as session:
        record_operation(
            session, LabelOperation("r", bench.project_id, NOW, {ids(bench)["big"]: LabelTarget("rejected")})
        )
    (group,) = found(bench)
    assert [member.name for member in group.members] == ["light", "small"]
    assert reject_all_duplicates(bench) == 1
    assert found(bench) == ()


def test_nothing_is_rejected_without_being_asked(bench: Bench) -> None:
    frames = {f"{n}": edited(image_bytes(1, 600, 400), edit) for n, edit in enumerate(EDITS)}
    bench.ingest([Source(name, lambda data=data: data, "me", "camera") for name, data in frames.items()])  # type: ignore[misc]
    assert counted(bench).images_beyond_keepers == 3
    assert set(bench.labels().values()) == {"me"}
    assert reject_all_duplicates(bench) == 3


def test_no_duplicates_make_no_operation(bench: Bench) -> None:
    bench.ingest(sources({"a": image_bytes(1)}))
    assert reject_all_duplicates(bench) == 0
    with bench.database.read() as session:
        assert session.get(models.LabelOperationRow, "aside") is None
