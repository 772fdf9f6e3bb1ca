from functools import cache
from pathlib import Path

import numpy as np
import pytest

from studio.backbones import get_backbone
from studio.backbones.interpreter import LiteRTInterpreter
from studio.backbones.preprocessing import Preprocessing
from studio.errors import BackboneError, Stopped
from studio.retrain.curve import CurvePoint
from studio.retrain.fine_tuning.fine_tune import get_fine_tunable_backbone
from studio.retrain.fine_tuning.network import fine_tuned_network, with_larger_input
from studio.retrain.model_file import read_head
from studio.retrain.options import RunOptions
from studio.retrain.run import RunResult, read_run
from studio.retrain.run_folder import (
    MODEL_FILE,
    TUNED_WEIGHTS,
    read_model,
    read_model_json,
    read_tuned_weights,
)
from tests.retrain.material import ROOM, RecordingProgress, draw, snapshot_of, train_run

OPTIONS = RunOptions(how_many_training_steps=60, fine_tune=True, fine_tune_epochs=2)


@cache
def fine_tuned_run() -> tuple[RunResult, tuple[CurvePoint, ...]]:
    points: list[CurvePoint] = []
    folder = draw(ROOM / "drawings to tune", ("원 circle", "square", "line"), count=14)
    result = train_run(snapshot_of(folder), ROOM / "runs" / "tuned 그림", OPTIONS, points=points)
    return result, tuple(points)


def test_the_model_file_gives_the_evaluated_probabilities() -> None:
    result, _points = fine_tuned_run()
    interpreter = LiteRTInterpreter((result.run_dir / MODEL_FILE).read_bytes())
    paths = {example.sha256: example.path for example in result.snapshot.of_split("testing")}
    preprocessing = Preprocessing.from_json(read_model_json(result.run_dir)["preprocessing"])
    assert (
        preprocessing.width_px
        == with_larger_input(get_backbone(result.options.backbone)).preprocessing.width_px
    )
    assert paths
    for prediction in result.evaluation.predictions:
        probabilities = interpreter(preprocessing.read(paths[prediction.sha256], "x"))
        at = result.snapshot.classes.index(prediction.predicted)
        assert probabilities.argmax() == at
        assert probabilities[at] == pytest.approx(prediction.score, abs=1e-5)


def test_the_model_file_contains_the_tuned_weights() -> None:
    result, _points = fine_tuned_run()
    card = read_model_json(result.run_dir)
    head = read_head(read_model(result.run_dir, card))
    backbone = with_larger_input(get_backbone(result.options.backbone))
    tuned = read_tuned_weights(result.run_dir, card)
    assert {"blocks.15.expand_conv/kernel", "conv_head/kernel", "bn1/gamma"} < set(tuned)
    assert not any(name.startswith("blocks.11") for name in tuned)
    network = fine_tuned_network(backbone, result.facts["fine_tuning"]["before"], tuned)
    trained, pretrained = (
        network.get_layer(name).get_layer("blocks.15.project_conv").get_weights()[0]
        for name in ("trained", "untouched")
    )
    assert not np.array_equal(trained, pretrained)
    own = backbone.network().get_layer("blocks.15.project_conv").get_weights()[0]
    np.testing.assert_array_equal(pretrained, own)
    interpreter = LiteRTInterpreter((result.run_dir / MODEL_FILE).read_bytes())
    for example in result.snapshot.examples[:5]:
        pixels = backbone.preprocessing.read(example.path, "x")
        features = network(backbone.preprocessing.scaled(pixels)[np.newaxis], training=False).numpy()
        np.testing.assert_allclose(interpreter(pixels), head.probabilities(features)[0], atol=1e-4)


def test_the_facts_describe_the_fine_tuning() -> None:
    result, points = fine_tuned_run()
    steps = OPTIONS.fine_tune_epochs * -(-len(result.snapshot.of_split("training")) // 32)
    assert [p.step for p in points if p.split == "training"] == list(range(1, steps + 1))
    assert result.validation == points[-1]
    assert result.step == result.facts["steps"] == steps
    assert result.facts["fine_tuning"]["before"] == "blocks.11.bn2"
    assert result.facts["fine_tuning"]["views"] == 8
    assert result.facts["tried"][0]["what"] == "head"
    assert result.facts["backbones"][0]["weights_sha256"] == get_backbone("efficientnet_lite0").weights_sha256
    assert read_run(result.run_dir) == result
    names = {path.name for path in result.run_dir.iterdir()}
    assert TUNED_WEIGHTS in names
    assert not any(name.startswith("checkpoint") for name in names)


@pytest.mark.parametrize(("phase", "after"), [("Computing feature maps", 30), ("Fine-tuning", 2)])
def test_a_stopped_run_resumes_to_the_same_result(tmp_path: Path, phase: str, after: int) -> None:
    expected, points = fine_tuned_run()
    with pytest.raises(Stopped):
        train_run(expected.snapshot, tmp_path / "run", OPTIONS, progress=RecordingProgress(phase, after))
    again: list[CurvePoint] = []
    progress = RecordingProgress()
    result = train_run(expected.snapshot, tmp_path / "run", OPTIONS, progress=progress, points=again)
    assert tuple(again) == points
    assert result.evaluation == expected.evaluation
    assert result.model_sha256 == expected.model_sha256
    if phase == "Fine-tuning":
        assert next(done for name, done, _total in progress.reports if name == phase) == after


def test_distorted_views_are_trained_on(tmp_path: Path) -> None:
    options = RunOptions(fine_tune=True, fine_tune_epochs=1, random_crop=10, distorted_views=2)
    result = train_run(snapshot_of(draw(tmp_path / "a", count=6)), tmp_path / "run", options)
    assert result.facts["fine_tuning"]["views"] == 4


@pytest.mark.parametrize("name", ["mobilenet_1.0_224_quantized", "efficientnet_lite0+mobilenet_1.0_224"])
def test_quantized_and_concatenated_backbones_are_refused(name: str) -> None:
    with pytest.raises(BackboneError, match=r"Choose (mobilenet_1\.0_224|efficientnet_lite0),"):
        get_fine_tunable_backbone(name)
