"""Calibration and abstention: thresholds on made-up predictions and on out-of-distribution photographs."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from studio.predict.model import Model
from studio.progress import Silent
from studio.retrain.confidence import CONFIDENCE_FILE, PROTOTYPES_FILE, Confidence
from studio.retrain.head.head import softmax
from studio.retrain.measure_confidence import measure_confidence
from studio.retrain.run_folder import MODEL_FILE
from tests.predict.material import UNKNOWN, flowers_run
from tests.retrain.material import FLOWERS, ROOM, RecordingProgress, needs_flowers


def overconfident(count: int = 3_000) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities whose logits are three times too large, and labels drawn by the right ones."""
    rng = np.random.default_rng(5)
    logits = rng.normal(size=(count, 4)).astype(np.float32) * 2
    true = softmax(logits)
    labels = np.array([rng.choice(4, p=row / row.sum()) for row in true.astype(np.float64)])
    return softmax(logits * 3), labels


def test_the_temperature_calibrates_probabilities() -> None:
    probabilities, labels = overconfident()
    confidence = Confidence.of(probabilities, labels, None)
    assert confidence.temperature == pytest.approx(3, abs=0.3)
    assert confidence.costs is not None
    before, after = confidence.costs.calibration_error
    assert before > 0.1
    assert after < 0.03
    calibrated = confidence.calibrated(probabilities)
    assert np.allclose(calibrated.sum(axis=1), 1, atol=1e-5)
    assert (calibrated.argmax(axis=1) == probabilities.argmax(axis=1)).all()
    logits = np.log(probabilities)
    assert np.allclose(calibrated, softmax(logits / np.float32(confidence.temperature)), atol=1e-5)


def test_thresholds_withhold_only_the_allowed_share_of_correct_predictions() -> None:
    probabilities, labels = overconfident()
    ood_scores = np.random.default_rng(1).random(len(labels), np.float32)
    confidence = Confidence.of(probabilities, labels, ood_scores)
    costs = confidence.costs
    assert costs is not None and confidence.max_ood_score is not None
    low_confidence, out_of_distribution = costs.low_confidence, costs.out_of_distribution
    assert 0.04 * costs.correct < low_confidence.correct <= 0.05 * costs.correct
    assert 0.01 * costs.correct < out_of_distribution.correct <= 0.02 * costs.correct
    assert low_confidence.wrong / costs.wrong > 2 * low_confidence.correct / costs.correct
    assert max(low_confidence.correct, out_of_distribution.correct) <= costs.both.correct
    assert costs.accuracy is not None and costs.accuracy > costs.correct / costs.images
    # The counts agree with the decisions.
    scores = confidence.calibrated(probabilities).max(axis=1)
    reasons = [
        confidence.abstention_reason(float(score), float(ood_score))
        for score, ood_score in zip(scores, ood_scores, strict=True)
    ]
    assert sum(reason is not None for reason in reasons) == costs.both.correct + costs.both.wrong
    assert confidence.abstention_reason(1.0, float("nan")) == "out_of_distribution"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_few_or_no_validation_images_are_no_error(count: int) -> None:
    probabilities, labels = overconfident(count)
    confidence = Confidence.of(probabilities, labels, np.zeros(count, np.float32))
    assert 0.1 <= confidence.temperature <= 10
    assert (confidence.costs is None) == (count == 0)
    assert confidence.abstention_reason(1.0, 0.0) is None


def test_the_temperature_is_bounded_for_few_images_that_are_all_correct() -> None:
    underconfident = np.full((40, 2), 0.4, np.float32)
    underconfident[:, 0] = 0.6
    confidence = Confidence.of(underconfident, np.zeros(40, np.intp), None)
    assert 0.9 < confidence.calibrated(underconfident)[0, 0] < 0.99  # 41 of 42
    certain = np.array([[0.9999, 0.0001]] * 3, np.float32)
    confidence = Confidence.of(certain, np.zeros(3, np.intp), None)
    assert confidence.temperature == 1
    assert confidence.abstention_reason(0.91, None) is None


def test_no_correct_prediction_is_no_error() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2]], np.float32)
    confidence = Confidence.of(probabilities, np.array([1, 1]), np.zeros(2, np.float32))
    assert confidence.costs is not None and confidence.costs.correct == 0
    assert confidence.max_ood_score is None


@needs_flowers
def test_confidence_is_stored_and_not_measured_twice(tmp_path: Path) -> None:
    run_dir = flowers_run().run_dir
    confidence = Confidence.read(run_dir)
    assert confidence is not None and confidence.costs is not None
    assert confidence.costs.images == len(flowers_run().snapshot.of_split("validation"))
    assert confidence.model_sha256 == hashlib.sha256((run_dir / MODEL_FILE).read_bytes()).hexdigest()
    written = json.loads((run_dir / CONFIDENCE_FILE).read_text(encoding="utf-8"))
    assert list(written) == [
        "version",
        "temperature",
        "least_probability",
        "most_strangeness",
        "costs",
        "model_sha256",
    ]
    assert list(written["costs"]) == [
        "pictures",
        "right",
        "unlikely",
        "strange",
        "both",
        "calibration_error",
        "accuracy",
    ]
    assert list(written["costs"]["strange"]) == ["right", "wrong"]
    progress = RecordingProgress()
    assert measure_confidence(run_dir, tmp_path / "empty", threads=2, progress=progress) == confidence
    assert progress.reports == []


@needs_flowers
def test_the_model_file_gives_the_ood_scores_that_were_measured() -> None:
    """The same numbers from cached bottlenecks in NumPy and from the derived model file in LiteRT."""
    run = flowers_run()
    model = Model.open(run.run_dir)
    confidence = model.confidence
    assert confidence is not None and confidence.costs is not None
    correct = wrong = 0
    for example in run.snapshot.of_split("validation"):
        prediction = model.predict_file(example.path, example.path.name)
        assert sum(each.score for each in prediction.scores) == pytest.approx(1, abs=1e-4)
        if prediction.abstention is not None:
            is_correct = prediction.scores[0].label == example.label
            correct, wrong = correct + is_correct, wrong + (not is_correct)
    assert (correct, wrong) == (confidence.costs.both.correct, confidence.costs.both.wrong)
    training = run.snapshot.of_split("training")[0]
    assert model.predict_file(training.path, "x").ood_score == pytest.approx(0, abs=1e-2)


@needs_flowers
def test_unknown_classes_and_noise_are_withheld_more_often() -> None:
    run = flowers_run()
    model = Model.open(run.run_dir)
    known = [model.predict_file(each.path, "x").abstention for each in run.snapshot.of_split("testing")]
    unknown = [
        model.predict_file(path, "x").abstention
        for label in UNKNOWN
        for path in sorted((FLOWERS / label).iterdir())[:20]
    ]
    assert sum(map(bool, unknown)) / len(unknown) > 0.15 + sum(map(bool, known)) / len(known)
    rng = np.random.default_rng(0)
    size = model.preprocessing.height_px, model.preprocessing.width_px, 3
    for _number in range(5):
        assert model.predict(rng.integers(0, 256, size, dtype=np.uint8)).abstention is not None


@needs_flowers
def test_damaged_files_and_those_of_another_model_are_ignored(tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "옮긴 run"
    shutil.copytree(flowers_run().run_dir, folder)
    text = (folder / CONFIDENCE_FILE).read_text(encoding="utf-8")
    for damage in ("", "[]", "{}", text.replace('"version": 1', '"version": 9'), text[:-20]):
        (folder / CONFIDENCE_FILE).write_text(damage, encoding="utf-8")
        assert Confidence.read(folder) is None
        assert Model.open(folder).confidence is None
    values = json.loads(text)
    (folder / CONFIDENCE_FILE).write_text(json.dumps(values | {"model_sha256": "0" * 64}), encoding="utf-8")
    assert Model.open(folder).confidence is None
    assert (
        measure_confidence(folder, ROOM / "bottlenecks", threads=2, progress=Silent()).model_sha256
        != "0" * 64
    )
    (folder / PROTOTYPES_FILE).write_bytes(b"bad")
    prediction = Model.open(folder).predict_file(flowers_run().snapshot.examples[0].path, "x")
    assert prediction.ood_score is None


@needs_flowers
def test_confidence_of_a_run_without_its_images_is_not_stored(tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "alone"
    shutil.copytree(flowers_run().run_dir, folder)
    (folder / CONFIDENCE_FILE).unlink()
    snapshot = (folder / "snapshot.csv").read_text(encoding="utf-8")
    gone = snapshot.replace(str(ROOM.as_posix()), str((tmp_path / "nowhere").as_posix()))
    (folder / "snapshot.csv").write_text(gone, encoding="utf-8")
    confidence = measure_confidence(folder, tmp_path / "empty", threads=2, progress=Silent())
    assert confidence.costs is None
    assert not (folder / CONFIDENCE_FILE).exists()
