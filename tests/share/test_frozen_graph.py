from pathlib import Path

import numpy as np
import pytest

from studio.errors import JobFailed
from studio.predict.model import Model
from studio.retrain.options import RunOptions
from studio.retrain.run import RunResult
from studio.share.exports import frozen_graph
from studio.share.exports.frozen_graph import run_frozen_graph, write_frozen_graph
from tests.backbones.networks import SHARED_KERAS
from tests.retrain.material import drawings_run, train_run


def test_a_frozen_graph_predicts_as_the_run_on_the_scripts_scaling(tmp_path: Path) -> None:
    run = drawings_run()
    path = tmp_path / "새 폴더" / "output_graph.pb"
    write_frozen_graph(run.run_dir, path)
    model = Model.open(run.run_dir)
    pixels = np.stack([model.preprocessing.read(e.path, "x") for e in run.snapshot.examples[:6]])
    answers = run_frozen_graph(
        path.read_bytes(), (pixels.astype(np.float32) - np.float32(128)) / np.float32(128)
    )
    expected = np.stack([model.probabilities(image) for image in pixels])
    np.testing.assert_allclose(answers, expected, atol=1e-4)


def test_a_graph_whose_predictions_differ_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A wrong conversion between the two scalings.
    monkeypatch.setattr(frozen_graph, "SCRIPT_STD", 64.0)
    path = tmp_path / "x.pb"
    original = frozen_graph._check_parity

    def compare(*arguments: object) -> None:
        monkeypatch.setattr(frozen_graph, "SCRIPT_STD", 128.0)
        original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(frozen_graph, "_check_parity", compare)
    with pytest.raises(JobFailed, match="not written"):
        write_frozen_graph(drawings_run().run_dir, path)
    assert not path.exists()


def _largest_difference(run: RunResult, path: Path) -> float:
    """Return the largest difference between graph and model on some of a run's images."""
    write_frozen_graph(run.run_dir, path)
    model = Model.open(run.run_dir)
    pixels = np.stack([model.preprocessing.read(e.path, "x") for e in run.snapshot.examples[:6]])
    answers = run_frozen_graph(
        path.read_bytes(), (pixels.astype(np.float32) - np.float32(128)) / np.float32(128)
    )
    expected = np.stack([model.probabilities(image) for image in pixels])
    return float(np.abs(answers - expected).max())


@pytest.mark.skipif(not SHARED_KERAS.is_dir(), reason=f"the weights are not at {SHARED_KERAS}")
@pytest.mark.parametrize(
    ("backbone", "max_difference"),
    [
        ("mobilenet_0.25_128", 1e-4),
        ("mobilenet_0.25_128+efficientnet_lite0", 1e-4),
        # Integers in the model, dequantized floats in the graph.
        ("mobilenet_0.25_128_quantized", 0.3),
    ],
)
def test_frozen_graphs_of_other_backbones(
    backbone: str, max_difference: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(SHARED_KERAS))
    options = RunOptions(backbone=backbone, how_many_training_steps=30)
    run = train_run(drawings_run().snapshot, tmp_path / "run", options)
    assert _largest_difference(run, tmp_path / "graph.pb") <= max_difference


def test_frozen_graph_of_a_fine_tuned_run(tmp_path: Path) -> None:
    options = RunOptions(how_many_training_steps=30, fine_tune=True, fine_tune_epochs=1)
    run = train_run(drawings_run().snapshot, tmp_path / "run", options)
    assert _largest_difference(run, tmp_path / "graph.pb") <= 1e-3
