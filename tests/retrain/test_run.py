import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from studio.backbones import get_backbone
from studio.backbones.interpreter import LiteRTInterpreter
from studio.errors import JobFailed, ModelUnreadable, Stopped, TooFewImages
from studio.retrain.curve import CurvePoint
from studio.retrain.options import RunOptions
from studio.retrain.run import read_run
from studio.retrain.run_folder import MODEL_FILE, MODEL_JSON
from tests.retrain.material import (
    FLOWERS,
    ROOM,
    RecordingProgress,
    backbone,
    draw,
    drawings_run,
    needs_flowers,
    snapshot_of,
    train_run,
)
from tests.retrain.test_tensorboard import scalars


@needs_flowers
def test_photographs_of_flowers_are_classified() -> None:
    accuracies = []
    for seed in range(5):
        options = RunOptions(seed=seed)
        result = train_run(snapshot_of(FLOWERS, seed), ROOM / f"flowers-{seed}", options)
        assert result.evaluation.accuracy is not None
        accuracies.append(result.evaluation.accuracy)
    assert np.mean(accuracies) >= 0.89, accuracies


def test_the_run_folder_is_complete() -> None:
    result = drawings_run()
    names = sorted(path.name for path in result.run_dir.iterdir())
    assert names == ["labels.txt", "model.json", "model.tflite", "snapshot.csv", "summaries"]
    assert (result.run_dir / "labels.txt").read_bytes().decode() == "square\n원 circle\n"
    model_json = json.loads((result.run_dir / MODEL_JSON).read_text(encoding="utf-8"))
    assert model_json["format_version"] == 1
    assert model_json["classes"] == ["square", "원 circle"]
    assert model_json["preprocessing"] == backbone().preprocessing.to_json()
    assert model_json["snapshot"] == result.snapshot.hash
    assert model_json["versions"]["tensorflow"]
    assert model_json["metrics"]["test_accuracy"] == result.evaluation.accuracy
    assert read_run(result.run_dir) == result


def test_facts_of_a_run() -> None:
    result = drawings_run()
    facts = result.facts
    (member,) = facts["backbones"]
    assert member["name"] == result.options.backbone
    assert member["weights_sha256"] == get_backbone(member["name"]).weights_sha256
    assert member["fingerprint"] == backbone().fingerprint
    assert facts["data"] == result.snapshot.hash
    assert facts["versions"]["tensorflow"]
    assert set(facts["seconds"]) == {"bottlenecks", "training", "all"}
    assert (facts["steps"], facts["stopped_early"], facts["l2"]) == (60, False, 0.0)
    assert (facts["tried"], facts["fine_tuning"]) == ([], None)
    assert read_run(result.run_dir).facts == facts


def test_every_l2_candidate_is_in_the_facts(tmp_path: Path) -> None:
    options = RunOptions(how_many_training_steps=40, l2=None, patience=2, optimizer="adam")
    points: list[CurvePoint] = []
    result = train_run(snapshot_of(ROOM / "drawings"), tmp_path / "run", options, points=points)
    assert [trial["what"] for trial in result.facts["tried"]] == ["l2 0", "l2 0.001", "l2 0.01", "l2 0.1"]
    assert result.facts["l2"] in (0.0, 0.001, 0.01, 0.1)
    assert result.facts["stopped_early"]
    assert result.facts["steps"] == max(point.step for point in points) < 40
    assert not list((tmp_path / "run").glob("checkpoint*"))


def test_event_files_hold_every_step() -> None:
    summaries = drawings_run().run_dir / "summaries"
    assert [step for step, _value in scalars(summaries / "train", "accuracy")] == list(range(1, 61))
    assert [step for step, _value in scalars(summaries / "validation", "cross_entropy")] == [
        *range(10, 61, 10)
    ]


def test_the_model_file_gives_the_predictions_of_the_evaluation() -> None:
    result = drawings_run()
    interpreter = LiteRTInterpreter((result.run_dir / MODEL_FILE).read_bytes())
    paths = {example.sha256: example.path for example in result.snapshot.of_split("testing")}
    assert {prediction.sha256 for prediction in result.evaluation.predictions} == set(paths)
    for prediction in result.evaluation.predictions:
        probabilities = interpreter(backbone().preprocessing.read(paths[prediction.sha256], "x"))
        number = result.snapshot.classes.index(prediction.predicted)
        assert probabilities.argmax() == number
        assert probabilities[number] == pytest.approx(prediction.score, abs=1e-5)


def test_a_finished_run_is_read_and_not_trained_again() -> None:
    result = drawings_run()
    progress = RecordingProgress()
    before = (result.run_dir / MODEL_JSON).stat().st_mtime_ns
    assert train_run(snapshot_of(ROOM / "drawings"), result.run_dir, progress=progress) == result
    assert progress.reports == []
    assert (result.run_dir / MODEL_JSON).stat().st_mtime_ns == before


def test_a_finished_run_is_not_overwritten_by_another() -> None:
    result = drawings_run()
    for snapshot, options in (
        (snapshot_of(ROOM / "drawings"), RunOptions(how_many_training_steps=61)),
        (snapshot_of(ROOM / "drawings", seed=5), result.options),
    ):
        with pytest.raises(JobFailed, match="Choose another folder"):
            train_run(snapshot, result.run_dir, options)


@pytest.mark.parametrize(("phase", "after"), [("Training", 40), ("Evaluating", 0), ("Writing the model", 0)])
def test_a_resumed_run_gives_the_same_result(tmp_path: Path, phase: str, after: int) -> None:
    expected = drawings_run()
    with pytest.raises(Stopped):
        train_run(expected.snapshot, tmp_path / "run", progress=RecordingProgress(phase, after))
    with pytest.raises(ModelUnreadable, match=r"model\.json is not there"):
        read_run(tmp_path / "run")
    progress, points = RecordingProgress(), list[CurvePoint]()
    result = train_run(expected.snapshot, tmp_path / "run", progress=progress, points=points)
    trained_from = next(done for phase, done, _total in progress.reports if phase == "Training")
    assert trained_from >= after
    assert result.evaluation == expected.evaluation
    assert result.model_sha256 == expected.model_sha256
    assert sorted((p.step, p.split) for p in points) == sorted({(p.step, p.split) for p in points})
    train = scalars(tmp_path / "run" / "summaries" / "train", "accuracy")
    assert train == scalars(expected.run_dir / "summaries" / "train", "accuracy")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == sorted(
        path.name for path in expected.run_dir.iterdir()
    )


def test_unreadable_images_are_skipped_with_a_reason(tmp_path: Path) -> None:
    folder = draw(tmp_path / "a")
    (folder / "square" / "bad.png").write_bytes(b"not an image")
    (folder / "nothing good").mkdir()
    (folder / "nothing good" / "notes.txt").write_text("hello", encoding="utf-8")
    result = train_run(snapshot_of(folder), tmp_path / "run")
    assert [file.path.name for file in result.skipped] == ["notes.txt", "bad.png"]
    assert result.snapshot.classes == ("square", "원 circle")
    assert len(result.snapshot.examples) == 48
    assert read_run(tmp_path / "run") == result
    again = train_run(snapshot_of(folder), tmp_path / "run", progress=RecordingProgress("Training"))
    assert again == result


def test_a_tiny_set_trains_with_warnings(tmp_path: Path) -> None:
    folder = draw(tmp_path / "a", count=1)
    result = train_run(snapshot_of(folder), tmp_path / "run", RunOptions(how_many_training_steps=12))
    assert (result.evaluation.accuracy, result.validation, result.step) == (None, None, 12)
    assert len(result.warnings) == 4
    assert read_run(tmp_path / "run") == result


def test_one_class_is_an_error_before_any_work(tmp_path: Path) -> None:
    progress = RecordingProgress()
    with pytest.raises(TooFewImages):
        train_run(snapshot_of(draw(tmp_path / "a", ("only",))), tmp_path / "run", progress=progress)
    assert progress.reports == []
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["labels.txt", "model.tflite", "model.json", "snapshot.csv"])
def test_a_damaged_folder_is_an_error(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "run"
    shutil.copytree(drawings_run().run_dir, folder)
    path = folder / name
    content = path.read_bytes()
    for damage in (content[: len(content) // 2], b"", None):
        if damage is None:
            path.unlink()
        else:
            path.write_bytes(damage)
        with pytest.raises(ModelUnreadable):
            read_run(folder)
