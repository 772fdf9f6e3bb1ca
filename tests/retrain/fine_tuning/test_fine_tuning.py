from functools import cache
from pathlib import Path

import numpy as np
import pytest

from studio.backbones import backbone_named
from studio.backbones.interpreter import Engine
from studio.backbones.preprocessing import Preprocessing
from studio.errors import BackboneError, Stopped
from studio.retrain.curve import CurvePoint
from studio.retrain.fine_tuning.fine_tune import tunable
from studio.retrain.fine_tuning.network import larger, tuned_network
from studio.retrain.model_file import head_of
from studio.retrain.options import RunOptions
from studio.retrain.run import RunResult, read_run
from studio.retrain.run_folder import MODEL, TUNED, read_model, read_model_json, read_tuned
from tests.retrain.material import ROOM, Watched, draw, run_on, snapshot_of

OPTIONS = RunOptions(how_many_training_steps=60, fine_tune=True, fine_tune_epochs=2)


@cache
def tuned_run() -> tuple[RunResult, tuple[CurvePoint, ...]]:
    points: list[CurvePoint] = []
    folder = draw(ROOM / "drawings to tune", ("원 circle", "square", "line"), count=14)
    result = run_on(snapshot_of(folder), ROOM / "runs" / "tuned 그림", OPTIONS, points=points)
    return result, tuple(points)


def test_the_file_answers_as_the_evaluation_says() -> None:
    result, _points = tuned_run()
    engine = Engine((result.run_dir / MODEL).read_bytes())
    paths = {example.sha256: example.path for example in result.snapshot.of_split("testing")}
    preprocessing = Preprocessing.from_json(read_model_json(result.run_dir)["preprocessing"])
    assert preprocessing.width_px == larger(backbone_named(result.options.backbone)).preprocessing.width_px
    assert paths
    for prediction in result.evaluation.predictions:
        answer = engine(preprocessing.read(paths[prediction.sha256], "x"))
        at = result.snapshot.classes.index(prediction.predicted)
        assert answer.argmax() == at
        assert answer[at] == pytest.approx(prediction.score, abs=1e-5)


def test_the_file_is_the_network_with_the_weights_that_were_trained() -> None:
    result, _points = tuned_run()
    card = read_model_json(result.run_dir)
    head = head_of(read_model(result.run_dir, card))
    backbone = larger(backbone_named(result.options.backbone))
    tuned = read_tuned(result.run_dir, card)
    assert {"blocks.15.expand_conv/kernel", "conv_head/kernel", "bn1/gamma"} < set(tuned)
    assert not any(name.startswith("blocks.11") for name in tuned)
    network = tuned_network(backbone, result.facts["fine_tuning"]["before"], tuned)
    trained, untouched = (
        network.get_layer(name).get_layer("blocks.15.project_conv").get_weights()[0]
        for name in ("trained", "untouched")
    )
    assert not np.array_equal(trained, untouched)
    own = backbone.network().get_layer("blocks.15.project_conv").get_weights()[0]
    np.testing.assert_array_equal(untouched, own)
    engine = Engine((result.run_dir / MODEL).read_bytes())
    for example in result.snapshot.examples[:5]:
        pixels = backbone.preprocessing.read(example.path, "x")
        features = network(backbone.preprocessing.scaled(pixels)[np.newaxis], training=False).numpy()
        np.testing.assert_allclose(engine(pixels), head.probabilities(features)[0], atol=1e-4)


def test_a_run_says_what_it_did() -> None:
    result, points = tuned_run()
    steps = OPTIONS.fine_tune_epochs * -(-len(result.snapshot.of_split("training")) // 32)
    assert [p.step for p in points if p.split == "training"] == list(range(1, steps + 1))
    assert result.validation == points[-1]
    assert result.step == result.facts["steps"] == steps
    assert result.facts["fine_tuning"]["before"] == "blocks.11.bn2"
    assert result.facts["fine_tuning"]["views"] == 8
    assert result.facts["tried"][0]["what"] == "head"
    assert (
        result.facts["backbones"][0]["weights_sha256"] == backbone_named("efficientnet_lite0").weights_sha256
    )
    assert read_run(result.run_dir) == result
    names = {path.name for path in result.run_dir.iterdir()}
    assert TUNED in names
    assert not any(name.startswith("checkpoint") for name in names)


@pytest.mark.parametrize(("phase", "after"), [("Computing deep bottlenecks", 30), ("Fine-tuning", 2)])
def test_a_stopped_run_goes_on_and_ends_as_the_other(tmp_path: Path, phase: str, after: int) -> None:
    expected, points = tuned_run()
    with pytest.raises(Stopped):
        run_on(expected.snapshot, tmp_path / "run", OPTIONS, progress=Watched(phase, after))
    again: list[CurvePoint] = []
    progress = Watched()
    result = run_on(expected.snapshot, tmp_path / "run", OPTIONS, progress=progress, points=again)
    assert tuple(again) == points
    assert result.evaluation == expected.evaluation
    assert result.model_sha256 == expected.model_sha256
    if phase == "Fine-tuning":
        assert next(done for told, done, _total in progress.told if told == phase) == after


def test_distorted_views_are_learnt_from_too(tmp_path: Path) -> None:
    options = RunOptions(fine_tune=True, fine_tune_epochs=1, random_crop=10, distorted_views=2)
    result = run_on(snapshot_of(draw(tmp_path / "a", count=6)), tmp_path / "run", options)
    assert result.facts["fine_tuning"]["views"] == 4


@pytest.mark.parametrize("name", ["mobilenet_1.0_224_quantized", "efficientnet_lite0+mobilenet_1.0_224"])
def test_what_cannot_be_trained_is_refused_with_what_can(name: str) -> None:
    with pytest.raises(BackboneError, match=r"Choose (mobilenet_1\.0_224|efficientnet_lite0),"):
        tunable(name)
