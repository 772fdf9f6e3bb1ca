from pathlib import Path

import numpy as np
import pytest

from studio.errors import JobFailed
from studio.predict.model import Model
from studio.retrain.options import RunOptions
from studio.retrain.run import RunResult
from studio.share import frozen_graph
from studio.share.frozen_graph import run_frozen_graph, write_frozen_graph
from tests.backbones.networks import SHARED_KERAS
from tests.retrain.material import drawings_run, run_on


def test_answers_on_images_as_the_run_does_scaled_as_the_script_does(tmp_path: Path) -> None:
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


def test_a_graph_that_answers_otherwise_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if the shift between the two scalings were forgotten, and then some.
    monkeypatch.setattr(frozen_graph, "SCRIPT_STD", 64.0)
    path = tmp_path / "x.pb"
    original = frozen_graph._compare

    def compare(*arguments: object) -> None:
        monkeypatch.setattr(frozen_graph, "SCRIPT_STD", 128.0)
        original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(frozen_graph, "_compare", compare)
    with pytest.raises(JobFailed, match="not written"):
        write_frozen_graph(drawings_run().run_dir, path)
    assert not path.exists()


def _largest_difference(run: RunResult, path: Path) -> float:
    """Return how far graph and model are apart on a few of a run's images."""
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
    ("backbone", "apart"),
    [
        ("mobilenet_0.25_128", 1e-4),
        ("mobilenet_0.25_128+efficientnet_lite0", 1e-4),
        # Whole numbers in the one, what they stand for in the other.
        ("mobilenet_0.25_128_quantized", 0.3),
    ],
)
def test_whatever_the_backbone_and_its_scaling(
    backbone: str, apart: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(SHARED_KERAS))
    options = RunOptions(backbone=backbone, how_many_training_steps=30)
    run = run_on(drawings_run().snapshot, tmp_path / "run", options)
    assert _largest_difference(run, tmp_path / "graph.pb") <= apart


def test_of_a_fine_tuned_run_with_its_own_last_blocks(tmp_path: Path) -> None:
    options = RunOptions(how_many_training_steps=30, fine_tune=True, fine_tune_epochs=1)
    run = run_on(drawings_run().snapshot, tmp_path / "run", options)
    assert _largest_difference(run, tmp_path / "graph.pb") <= 1e-3
