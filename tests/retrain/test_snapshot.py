import hashlib
from pathlib import Path

import pytest

from studio.errors import TooFewImages
from studio.retrain.snapshot import LabelledImage, Snapshot


def labelled(label: str, count: int) -> list[LabelledImage]:
    return [
        LabelledImage(
            hashlib.sha256(f"{label}{at}".encode()).hexdigest(),
            Path("사진 폴더") / f"{label}, {at}.jpg",
            label,
        )
        for at in range(count)
    ]


def test_order_changes_nothing_and_labels_do() -> None:
    images = labelled("b", 30) + labelled("a", 30)
    snapshot = Snapshot.of(images)
    assert Snapshot.of(reversed(images)) == snapshot
    assert snapshot.classes == ("a", "b")
    relabelled = [*images[:-1], LabelledImage(images[-1].sha256, images[-1].path, "b")]
    assert Snapshot.of(relabelled).hash != snapshot.hash
    assert Snapshot.of(images, seed=1).hash != snapshot.hash


def test_hash_is_of_content_not_of_place() -> None:
    images = labelled("a", 3) + labelled("b", 3)
    moved = [LabelledImage(p.sha256, Path("elsewhere") / p.path.name, p.label) for p in images]
    assert (
        Snapshot.of(moved).hash
        == Snapshot.of(images).hash
        == "02ceb6982d4fa7677328ee3528ef72d9bc5d461c4232075e8c71ba1f192e6e1b"
    )


def test_no_image_moves_when_others_come() -> None:
    few = Snapshot.of(labelled("a", 50) + labelled("b", 50))
    many = Snapshot.of(labelled("a", 500) + labelled("b", 500) + labelled("c", 40))
    splits = {example.sha256: example.split for example in many.examples}
    assert all(splits[example.sha256] == example.split for example in few.examples)


def test_every_class_has_a_training_image_however_few() -> None:
    for count in (1, 2, 3):
        for seed in range(30):
            snapshot = Snapshot.of(
                labelled("a", count) + labelled("b", count),
                validation_percentage=45,
                testing_percentage=45,
                seed=seed,
            )
            assert {example.label for example in snapshot.of_split("training")} == {"a", "b"}


def test_warns_of_few_images_and_of_empty_splits() -> None:
    warnings = Snapshot.of(labelled("a", 19) + labelled("b", 20), testing_percentage=0).check()
    assert [warning.split()[0] for warning in warnings] == ["“a”", "There"]
    assert "19 images" in warnings[0]
    assert "no test images" in warnings[1]
    assert Snapshot.of(labelled("a", 100) + labelled("b", 100)).check() == ()


@pytest.mark.parametrize(("images", "found"), [([], "none"), (labelled("only one", 40), "only one")])
def test_one_class_is_too_little(images: list[LabelledImage], found: str) -> None:
    with pytest.raises(TooFewImages, match=f"{found}.*Add a second class"):
        Snapshot.of(images).check()


def test_without_drops_images_and_emptied_classes_and_moves_no_other() -> None:
    snapshot = Snapshot.of(labelled("a", 30) + labelled("b", 30) + labelled("c", 2))
    gone = {example.sha256 for example in snapshot.examples if example.label == "c"}
    left = snapshot.without(gone)
    assert left.classes == ("a", "b")
    assert set(left.examples) < set(snapshot.examples)
    assert snapshot.without(()) is snapshot


def test_an_image_that_comes_twice_is_an_error() -> None:
    with pytest.raises(ValueError, match="once"):
        Snapshot.of([*labelled("a", 1), *labelled("a", 1)])


def test_a_written_snapshot_is_read_back(tmp_path: Path) -> None:
    snapshot = Snapshot.of(labelled('a "튤립", 1', 30) + labelled("b", 3), seed=4)
    path = tmp_path / "snapshot.csv"
    snapshot.write(path)
    assert Snapshot.read(path, snapshot.classes, 4) == snapshot
    path.write_text("sha256,label\n1,2\n", encoding="utf-8")
    with pytest.raises(ValueError, match="split"):
        Snapshot.read(path, snapshot.classes, 4)


def duplicate_groups(label: str, groups: int, size: int = 3) -> list[LabelledImage]:
    """Images in duplicate groups of equal size."""
    images = labelled(label, groups * size)
    return [
        LabelledImage(image.sha256, image.path, image.label, group=images[index // size * size].sha256)
        for index, image in enumerate(images)
    ]


def group_splits(snapshot: Snapshot) -> dict[str, set[str]]:
    splits: dict[str, set[str]] = {}
    for example in snapshot.examples:
        splits.setdefault(example.group, set()).add(example.split)
    return splits


def test_a_duplicate_group_has_one_split() -> None:
    many = Snapshot.of(duplicate_groups("a", 100) + duplicate_groups("b", 100))
    assert all(len(splits) == 1 for splits in group_splits(many).values())
    assert {example.split for example in many.examples} == {"training", "validation", "testing"}
    first = {image.sha256 for image in duplicate_groups("a", 100)[::3]}
    alone = {e.sha256: e.split for e in Snapshot.of(labelled("a", 300) + labelled("b", 300)).examples}
    # The group gets the split of its first image.
    assert all(e.split == alone[e.group] for e in many.examples if e.group in first)
    for seed in range(30):
        few = Snapshot.of(
            duplicate_groups("a", 1) + duplicate_groups("b", 2),
            validation_percentage=45,
            testing_percentage=45,
            seed=seed,
        )
        assert all(len(splits) == 1 for splits in group_splits(few).values())
        assert {example.label for example in few.of_split("training")} == {"a", "b"}
        gone = {example.sha256 for example in few.of_split("training") if example.label == "b"}
        assert all(len(splits) == 1 for splits in group_splits(few.without(gone)).values())


def test_a_fixed_split_takes_precedence_over_the_hash() -> None:
    images = labelled("a", 100) + labelled("b", 100)
    fixed = [LabelledImage(p.sha256, p.path, p.label, fixed_split="testing") for p in images[:50]]
    snapshot = Snapshot.of(fixed + images[50:])
    splits = {example.sha256: example.split for example in snapshot.examples}
    assert {splits[image.sha256] for image in fixed} == {"testing"}
    hashed = {example.sha256: example.split for example in Snapshot.of(images).examples}
    assert all(splits[image.sha256] == hashed[image.sha256] for image in images[50:])


def test_a_fixed_test_split_applies_to_the_whole_group() -> None:
    one, other, third = duplicate_groups("a", 1)
    rest = labelled("a", 40)[3:] + labelled("b", 40)
    group = [
        LabelledImage(one.sha256, one.path, "a", group=one.group, fixed_split="training"),
        LabelledImage(other.sha256, other.path, "a", group=other.group, fixed_split="testing"),
        third,
    ]
    assert group_splits(Snapshot.of(group + rest))[one.group] == {"testing"}
    group[1] = other
    assert group_splits(Snapshot.of(group + rest))[one.group] == {"training"}
