"""What "not sure" is set on, and what it does on photographs like nothing in training."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from studio.predict.model import Model
from studio.progress import Silent
from studio.retrain.confidence import ANCHORS, SURENESS, Confidence
from studio.retrain.head.head import softmax
from studio.retrain.measure_confidence import measured
from studio.retrain.run_folder import MODEL
from tests.predict.material import UNKNOWN, flowers_run
from tests.retrain.material import FLOWERS, ROOM, Watched, needs_flowers


def overconfident(count: int = 3_000) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities three times as sure as they should be, and classes drawn by what they should."""
    chance = np.random.default_rng(5)
    logits = chance.normal(size=(count, 4)).astype(np.float32) * 2
    true = softmax(logits)
    labels = np.array([chance.choice(4, p=row / row.sum()) for row in true.astype(np.float64)])
    return softmax(logits * 3), labels


def test_a_temperature_makes_probabilities_mean_what_they_say() -> None:
    probabilities, labels = overconfident()
    found = Confidence.of(probabilities, labels, None)
    assert found.temperature == pytest.approx(3, abs=0.3)
    assert found.costs is not None
    before, after = found.costs.calibration_error
    assert before > 0.1
    assert after < 0.03
    calibrated = found.calibrated(probabilities)
    assert np.allclose(calibrated.sum(axis=1), 1, atol=1e-5)
    assert (calibrated.argmax(axis=1) == probabilities.argmax(axis=1)).all()
    logits = np.log(probabilities)
    assert np.allclose(calibrated, softmax(logits / np.float32(found.temperature)), atol=1e-5)


def test_thresholds_hold_back_no_more_right_answers_than_they_may() -> None:
    probabilities, labels = overconfident()
    strangeness = np.random.default_rng(1).random(len(labels), np.float32)
    found = Confidence.of(probabilities, labels, strangeness)
    costs = found.costs
    assert costs is not None and found.most_strangeness is not None
    assert 0.04 * costs.right < costs.unlikely.right <= 0.05 * costs.right
    assert 0.01 * costs.right < costs.strange.right <= 0.02 * costs.right
    assert costs.unlikely.wrong / costs.wrong > 2 * costs.unlikely.right / costs.right
    assert max(costs.unlikely.right, costs.strange.right) <= costs.both.right
    assert costs.accuracy is not None and costs.accuracy > costs.right / costs.images
    # What is counted is what is then done.
    scores = found.calibrated(probabilities).max(axis=1)
    doubts = [
        found.doubt(float(score), float(strange)) for score, strange in zip(scores, strangeness, strict=True)
    ]
    assert sum(doubt is not None for doubt in doubts) == costs.both.right + costs.both.wrong
    assert found.doubt(1.0, float("nan")) == "strange"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_few_validation_images_or_none_are_no_fault(count: int) -> None:
    probabilities, labels = overconfident(count)
    found = Confidence.of(probabilities, labels, np.zeros(count, np.float32))
    assert 0.1 <= found.temperature <= 10
    assert (found.costs is None) == (count == 0)
    assert found.doubt(1.0, 0.0) is None


def test_a_few_images_that_are_all_right_make_it_neither_surer_nor_less_sure_than_they_tell() -> None:
    hesitant = np.full((40, 2), 0.4, np.float32)
    hesitant[:, 0] = 0.6
    found = Confidence.of(hesitant, np.zeros(40, np.intp), None)
    assert 0.9 < found.calibrated(hesitant)[0, 0] < 0.99  # 41 of 42
    certain = np.array([[0.9999, 0.0001]] * 3, np.float32)
    found = Confidence.of(certain, np.zeros(3, np.intp), None)
    assert found.temperature == 1
    assert found.doubt(0.91, None) is None


def test_none_of_the_answers_right_is_no_fault() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2]], np.float32)
    found = Confidence.of(probabilities, np.array([1, 1]), np.zeros(2, np.float32))
    assert found.costs is not None and found.costs.right == 0
    assert found.most_strangeness is None


@needs_flowers
def test_a_run_keeps_what_was_measured_and_is_not_measured_twice(tmp_path: Path) -> None:
    run_dir = flowers_run().run_dir
    found = Confidence.read(run_dir)
    assert found is not None and found.costs is not None
    assert found.costs.images == len(flowers_run().snapshot.of_split("validation"))
    assert found.model_sha256 == hashlib.sha256((run_dir / MODEL).read_bytes()).hexdigest()
    written = json.loads((run_dir / SURENESS).read_text(encoding="utf-8"))
    assert {"version", "temperature", "least_probability", "most_strangeness", "costs"} <= set(written)
    watched = Watched()
    assert measured(run_dir, tmp_path / "empty", threads=2, progress=watched) == found
    assert watched.told == []


@needs_flowers
def test_the_file_tells_the_strangeness_that_was_measured() -> None:
    """The same numbers from cached bottlenecks in NumPy and from the model's own file in LiteRT."""
    run = flowers_run()
    model = Model.open(run.run_dir)
    sureness = model.sureness
    assert sureness is not None and sureness.costs is not None
    right = wrong = 0
    for example in run.snapshot.of_split("validation"):
        answer = model.answer_file(example.path, example.path.name)
        assert sum(each.score for each in answer.predictions) == pytest.approx(1, abs=1e-4)
        if answer.doubt is not None:
            is_right = answer.predictions[0].label == example.label
            right, wrong = right + is_right, wrong + (not is_right)
    assert (right, wrong) == (sureness.costs.both.right, sureness.costs.both.wrong)
    trained = run.snapshot.of_split("training")[0]
    assert model.answer_file(trained.path, "x").strangeness == pytest.approx(0, abs=1e-2)


@needs_flowers
def test_it_is_less_sure_of_flowers_that_it_never_saw_and_of_noise() -> None:
    run = flowers_run()
    model = Model.open(run.run_dir)
    seen = [model.answer_file(each.path, "x").doubt for each in run.snapshot.of_split("testing")]
    strangers = [
        model.answer_file(path, "x").doubt
        for label in UNKNOWN
        for path in sorted((FLOWERS / label).iterdir())[:20]
    ]
    assert sum(map(bool, strangers)) / len(strangers) > 0.15 + sum(map(bool, seen)) / len(seen)
    chance = np.random.default_rng(0)
    size = model.preprocessing.height_px, model.preprocessing.width_px, 3
    for _number in range(5):
        assert model.answer(chance.integers(0, 256, size, dtype=np.uint8)).doubt is not None


@needs_flowers
def test_what_is_damaged_or_another_model_s_is_as_good_as_nothing(tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "옮긴 run"
    shutil.copytree(flowers_run().run_dir, folder)
    text = (folder / SURENESS).read_text(encoding="utf-8")
    for damage in ("", "[]", "{}", text.replace('"version": 1', '"version": 9'), text[:-20]):
        (folder / SURENESS).write_text(damage, encoding="utf-8")
        assert Confidence.read(folder) is None
        assert Model.open(folder).sureness is None
    values = json.loads(text)
    (folder / SURENESS).write_text(json.dumps(values | {"model_sha256": "0" * 64}), encoding="utf-8")
    assert Model.open(folder).sureness is None
    assert measured(folder, ROOM / "bottlenecks", threads=2, progress=Silent()).model_sha256 != "0" * 64
    (folder / ANCHORS).write_bytes(b"bad")
    answer = Model.open(folder).answer_file(flowers_run().snapshot.examples[0].path, "x")
    assert answer.strangeness is None


@needs_flowers
def test_a_run_whose_images_are_gone_is_answered_without(tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "alone"
    shutil.copytree(flowers_run().run_dir, folder)
    (folder / SURENESS).unlink()
    snapshot = (folder / "snapshot.csv").read_text(encoding="utf-8")
    gone = snapshot.replace(str(ROOM.as_posix()), str((tmp_path / "nowhere").as_posix()))
    (folder / "snapshot.csv").write_text(gone, encoding="utf-8")
    found = measured(folder, tmp_path / "empty", threads=2, progress=Silent())
    assert found.costs is None
    assert not (folder / SURENESS).exists()
