import hashlib
from pathlib import Path

import pytest

from studio.errors import TooLittleToLearnFrom
from studio.retrain.snapshot import Labelled, Snapshot


def labelled(label: str, count: int) -> list[Labelled]:
    return [
        Labelled(
            hashlib.sha256(f"{label}{at}".encode()).hexdigest(),
            Path("사진 폴더") / f"{label}, {at}.jpg",
            label,
        )
        for at in range(count)
    ]


def test_order_changes_nothing_and_labels_do() -> None:
    pictures = labelled("b", 30) + labelled("a", 30)
    snapshot = Snapshot.of(pictures)
    assert Snapshot.of(reversed(pictures)) == snapshot
    assert snapshot.classes == ("a", "b")
    relabelled = [*pictures[:-1], Labelled(pictures[-1].sha256, pictures[-1].path, "b")]
    assert Snapshot.of(relabelled).hash != snapshot.hash
    assert Snapshot.of(pictures, seed=1).hash != snapshot.hash


def test_hash_is_of_content_not_of_place() -> None:
    pictures = labelled("a", 3) + labelled("b", 3)
    moved = [Labelled(p.sha256, Path("elsewhere") / p.path.name, p.label) for p in pictures]
    assert (
        Snapshot.of(moved).hash
        == Snapshot.of(pictures).hash
        == "02ceb6982d4fa7677328ee3528ef72d9bc5d461c4232075e8c71ba1f192e6e1b"
    )


def test_no_picture_moves_when_others_come() -> None:
    few = Snapshot.of(labelled("a", 50) + labelled("b", 50))
    many = Snapshot.of(labelled("a", 500) + labelled("b", 500) + labelled("c", 40))
    splits = {example.sha256: example.split for example in many.examples}
    assert all(splits[example.sha256] == example.split for example in few.examples)


def test_every_class_has_a_training_picture_however_few() -> None:
    for count in (1, 2, 3):
        for seed in range(30):
            snapshot = Snapshot.of(
                labelled("a", count) + labelled("b", count),
                validation_percentage=45,
                testing_percentage=45,
                seed=seed,
            )
            assert {example.label for example in snapshot.of_split("training")} == {"a", "b"}


def test_warns_of_few_pictures_and_of_empty_splits() -> None:
    warnings = Snapshot.of(labelled("a", 19) + labelled("b", 20), testing_percentage=0).check()
    assert [warning.split()[0] for warning in warnings] == ["“a”", "No"]
    assert "19 pictures" in warnings[0]
    assert "testing" in warnings[1]
    assert Snapshot.of(labelled("a", 100) + labelled("b", 100)).check() == ()


@pytest.mark.parametrize(("pictures", "found"), [([], "none"), (labelled("only one", 40), "only one")])
def test_one_class_is_too_little(pictures: list[Labelled], found: str) -> None:
    with pytest.raises(TooLittleToLearnFrom, match=f"{found}.*Add a second class"):
        Snapshot.of(pictures).check()


def test_without_drops_pictures_and_emptied_classes_and_moves_no_other() -> None:
    snapshot = Snapshot.of(labelled("a", 30) + labelled("b", 30) + labelled("c", 2))
    gone = {example.sha256 for example in snapshot.examples if example.label == "c"}
    left = snapshot.without(gone)
    assert left.classes == ("a", "b")
    assert set(left.examples) < set(snapshot.examples)
    assert snapshot.without(()) is snapshot


def test_a_picture_may_stand_once() -> None:
    with pytest.raises(ValueError, match="once"):
        Snapshot.of([*labelled("a", 1), *labelled("a", 1)])


def test_comes_back_from_its_file(tmp_path: Path) -> None:
    snapshot = Snapshot.of(labelled('a "튤립", 1', 30) + labelled("b", 3), seed=4)
    path = tmp_path / "snapshot.csv"
    snapshot.write(path)
    assert Snapshot.read(path, snapshot.classes, 4) == snapshot
    path.write_text("sha256,label\n1,2\n", encoding="utf-8")
    with pytest.raises(ValueError, match="split"):
        Snapshot.read(path, snapshot.classes, 4)
