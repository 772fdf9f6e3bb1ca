import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from studio.backbones import backbone_named
from studio.backbones.interpreter import Engine
from studio.errors import JobFailed, ModelUnreadable, Stopped, TooFewImages
from studio.retrain.curve import CurvePoint
from studio.retrain.options import RunOptions
from studio.retrain.run import read_run
from studio.retrain.run_folder import CARD, MODEL
from tests.retrain.material import (
    FLOWERS,
    ROOM,
    Watched,
    backbone,
    draw,
    drawings_run,
    needs_flowers,
    run_on,
    snapshot_of,
)
from tests.retrain.test_tensorboard import scalars


@needs_flowers
def test_photographs_of_flowers_are_told_apart() -> None:
    accuracies = []
    for seed in range(5):
        options = RunOptions(seed=seed)
        result = run_on(snapshot_of(FLOWERS, seed), ROOM / f"flowers-{seed}", options)
        assert result.evaluation.accuracy is not None
        accuracies.append(result.evaluation.accuracy)
    assert np.mean(accuracies) >= 0.89, accuracies


def test_the_folder_holds_what_it_should() -> None:
    result = drawings_run()
    names = sorted(path.name for path in result.run_dir.iterdir())
    assert names == ["labels.txt", "model.json", "model.tflite", "snapshot.csv", "summaries"]
    assert (result.run_dir / "labels.txt").read_bytes().decode() == "square\n원 circle\n"
    card = json.loads((result.run_dir / CARD).read_text(encoding="utf-8"))
    assert card["format_version"] == 1
    assert card["classes"] == ["square", "원 circle"]
    assert card["preprocessing"] == backbone().preprocessing.to_json()
    assert card["snapshot"] == result.snapshot.hash
    assert card["versions"]["tensorflow"]
    assert card["metrics"]["test_accuracy"] == result.evaluation.accuracy
    assert read_run(result.run_dir) == result


def test_a_run_says_what_it_came_from_and_what_it_took() -> None:
    result = drawings_run()
    facts = result.facts
    (used,) = facts["backbones"]
    assert used["name"] == result.options.backbone
    assert used["weights_sha256"] == backbone_named(used["name"]).weights_sha256
    assert used["fingerprint"] == backbone().fingerprint
    assert facts["data"] == result.snapshot.hash
    assert facts["versions"]["tensorflow"]
    assert set(facts["seconds"]) == {"bottlenecks", "training", "all"}
    assert (facts["steps"], facts["stopped_early"], facts["l2"]) == (60, False, 0.0)
    assert (facts["tried"], facts["fine_tuning"]) == ([], None)
    assert read_run(result.run_dir).facts == facts


def test_each_way_of_choosing_l2_is_told(tmp_path: Path) -> None:
    options = RunOptions(how_many_training_steps=40, l2=None, patience=2, optimizer="adam")
    points: list[CurvePoint] = []
    result = run_on(snapshot_of(ROOM / "drawings"), tmp_path / "run", options, points=points)
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


def test_the_file_answers_as_the_evaluation_says() -> None:
    result = drawings_run()
    engine = Engine((result.run_dir / MODEL).read_bytes())
    paths = {example.sha256: example.path for example in result.snapshot.of_split("testing")}
    assert {prediction.sha256 for prediction in result.evaluation.predictions} == set(paths)
    for prediction in result.evaluation.predictions:
        answer = engine(backbone().preprocessing.read(paths[prediction.sha256], "x"))
        at = result.snapshot.classes.index(prediction.predicted)
        assert answer.argmax() == at
        assert answer[at] == pytest.approx(prediction.score, abs=1e-5)


def test_a_finished_run_is_read_not_done_again() -> None:
    result = drawings_run()
    progress = Watched()
    before = (result.run_dir / CARD).stat().st_mtime_ns
    assert run_on(snapshot_of(ROOM / "drawings"), result.run_dir, progress=progress) == result
    assert progress.told == []
    assert (result.run_dir / CARD).stat().st_mtime_ns == before


def test_another_run_does_not_go_over_a_finished_one() -> None:
    result = drawings_run()
    for snapshot, options in (
        (snapshot_of(ROOM / "drawings"), RunOptions(how_many_training_steps=61)),
        (snapshot_of(ROOM / "drawings", seed=5), result.options),
    ):
        with pytest.raises(JobFailed, match="Choose another folder"):
            run_on(snapshot, result.run_dir, options)


@pytest.mark.parametrize(("phase", "after"), [("Training", 40), ("Evaluating", 0), ("Writing the model", 0)])
def test_a_stopped_run_goes_on_and_ends_as_the_other(tmp_path: Path, phase: str, after: int) -> None:
    expected = drawings_run()
    with pytest.raises(Stopped):
        run_on(expected.snapshot, tmp_path / "run", progress=Watched(phase, after))
    with pytest.raises(ModelUnreadable, match=r"model\.json is not there"):
        read_run(tmp_path / "run")
    progress, points = Watched(), list[CurvePoint]()
    result = run_on(expected.snapshot, tmp_path / "run", progress=progress, points=points)
    trained_from = next(done for phase, done, _total in progress.told if phase == "Training")
    assert trained_from >= after
    assert result.evaluation == expected.evaluation
    assert result.model_sha256 == expected.model_sha256
    assert sorted((p.step, p.split) for p in points) == sorted({(p.step, p.split) for p in points})
    train = scalars(tmp_path / "run" / "summaries" / "train", "accuracy")
    assert train == scalars(expected.run_dir / "summaries" / "train", "accuracy")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == sorted(
        path.name for path in expected.run_dir.iterdir()
    )


def test_unreadable_images_are_left_out_and_named(tmp_path: Path) -> None:
    folder = draw(tmp_path / "a")
    (folder / "square" / "bad.png").write_bytes(b"not an image")
    (folder / "nothing good").mkdir()
    (folder / "nothing good" / "notes.txt").write_text("hello", encoding="utf-8")
    result = run_on(snapshot_of(folder), tmp_path / "run")
    assert [refusal.path.name for refusal in result.refusals] == ["notes.txt", "bad.png"]
    assert result.snapshot.classes == ("square", "원 circle")
    assert len(result.snapshot.examples) == 48
    assert read_run(tmp_path / "run") == result
    again = run_on(snapshot_of(folder), tmp_path / "run", progress=Watched("Training"))
    assert again == result


def test_a_tiny_set_trains_with_warnings(tmp_path: Path) -> None:
    folder = draw(tmp_path / "a", count=1)
    result = run_on(snapshot_of(folder), tmp_path / "run", RunOptions(how_many_training_steps=12))
    assert (result.evaluation.accuracy, result.validation, result.step) == (None, None, 12)
    assert len(result.warnings) == 4
    assert read_run(tmp_path / "run") == result


def test_one_class_stops_before_any_work(tmp_path: Path) -> None:
    progress = Watched()
    with pytest.raises(TooFewImages):
        run_on(snapshot_of(draw(tmp_path / "a", ("only",))), tmp_path / "run", progress=progress)
    assert progress.told == []
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["labels.txt", "model.tflite", "model.json", "snapshot.csv"])
def test_a_damaged_folder_is_not_taken_for_a_run(tmp_path: Path, name: str) -> None:
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
