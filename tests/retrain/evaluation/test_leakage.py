import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from studio.backbones.bottleneck_cache import BottleneckCache
from studio.backbones.embedding import embed
from studio.errors import Stopped
from studio.progress import Silent
from studio.retrain.evaluation.leakage import FileLeakageCheck, find_leaked_images
from studio.retrain.snapshot import Example, Snapshot
from tests.retrain.material import FLOWERS, ROOM, RecordingProgress, backbone, needs_flowers


def example(path: Path, split: str, group: str = "") -> Example:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Example(digest, path, path.parent.name, split, group)  # type: ignore[arg-type]


@needs_flowers
def test_edited_training_photographs_are_found_and_others_are_not(tmp_path: Path) -> None:
    photographs = [path for folder in sorted(FLOWERS.iterdir()) for path in sorted(folder.glob("*.jpg"))[:16]]
    training, test = photographs[::2], photographs[1::2]
    examples = [example(path, "training") for path in training] + [example(path, "testing") for path in test]
    duplicates = []
    edits: dict[str, Callable[[Image.Image], Image.Image]] = {
        "small": lambda image: image.resize((image.width // 2, image.height // 2)),
        "mirrored": ImageOps.mirror,
        "cropped": lambda image: image.crop((8, 8, image.width - 8, image.height - 8)),
        "poor": lambda image: image,
    }
    for number, path in enumerate(training[:20]):
        edit = list(edits)[number % len(edits)]
        target = tmp_path / "사본" / f"{number} {edit}.jpg"
        target.parent.mkdir(exist_ok=True)
        with Image.open(path) as image:
            edits[edit](image).convert("RGB").save(target, quality=40)
        duplicates.append(example(target, "testing"))
    snapshot = Snapshot(tuple(sorted((*examples, *duplicates), key=lambda e: e.sha256)), ("daisy", "사본"))
    cache = BottleneckCache.of(ROOM / "bottlenecks", backbone())
    embed(snapshot.examples, backbone(), cache, threads=2, progress=Silent())
    arguments = snapshot, backbone(), ROOM / "bottlenecks", tmp_path
    leaked = find_leaked_images(FileLeakageCheck(2, Silent()), *arguments)
    with pytest.raises(Stopped):
        find_leaked_images(FileLeakageCheck(2, RecordingProgress("Comparing images", 1)), *arguments)
    assert leaked is not None
    names = {e.path.name for e in duplicates if e.sha256 in leaked}
    assert len(names) >= 19, {e.path.name for e in duplicates} - names
    assert leaked <= {e.sha256 for e in duplicates}
    assert [path.name for path in tmp_path.iterdir()] == ["사본"]  # the scratch file is removed


def vectors_of(angles: list[float]) -> np.ndarray:
    return np.array([[np.cos(a), np.sin(a)] for a in angles], np.float32)


def test_a_test_image_of_a_training_image_s_duplicate_group_is_leaked(tmp_path: Path) -> None:
    files = []
    for at in range(4):
        files.append(tmp_path / f"{at}.png")
        Image.effect_noise((64, 64), 30 + at).save(files[-1])
    examples = (
        example(files[0], "training", "together"),
        example(files[1], "testing", "together"),
        example(files[2], "testing", "another"),
        example(files[3], "validation", "another"),
    )
    snapshot = Snapshot(examples, ("a",))
    # At right angles: their bottlenecks are all different.
    leaked = FileLeakageCheck(1, Silent())(snapshot, vectors_of([0, 1.6, 1.6, 1.6]))
    assert leaked == frozenset({examples[1].sha256})
    # The last equals the third, but is a validation image.
    assert FileLeakageCheck(1, Silent())(snapshot, vectors_of([0, 0.1, 1.6, 1.6])) == leaked
    assert FileLeakageCheck(1, Silent())(snapshot, None) is None
    assert FileLeakageCheck(1, Silent())(Snapshot(examples[:1], ("a",)), vectors_of([0])) == frozenset()


def test_a_removed_image_is_no_duplicate(tmp_path: Path) -> None:
    one, other = tmp_path / "하나.png", tmp_path / "둘.png"
    Image.effect_noise((64, 64), 40).save(one)
    shutil.copy(one, other)
    with other.open("ab") as file:
        file.write(b"another digest")
    snapshot = Snapshot((example(one, "training"), example(other, "testing")), ("a",))
    vectors = vectors_of([0, 0.7])  # a cosine of 0.76: the files decide
    leaked = FileLeakageCheck(1, Silent())(snapshot, vectors)
    assert leaked == frozenset({snapshot.examples[1].sha256})
    one.unlink()
    assert FileLeakageCheck(1, Silent())(snapshot, vectors) == frozenset()


def test_the_check_gets_no_vectors_if_bottlenecks_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "그림.png"
    Image.effect_noise((64, 64), 40).save(path)
    snapshot = Snapshot((example(path, "training"),), ("a",))
    arguments: list[object] = []

    def check(given: Snapshot, vectors: object) -> None:
        arguments.extend((given, vectors))

    assert find_leaked_images(check, snapshot, backbone(), tmp_path / "none", tmp_path) is None
    assert arguments == [snapshot, None]
