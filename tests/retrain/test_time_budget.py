"""Best in so many minutes: what is tried, what stands, and what a stop leaves."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from studio.backbones.interpreter import Engine
from studio.backbones.preprocessing import Preprocessing
from studio.errors import Stopped
from studio.retrain import time_budget
from studio.retrain.curve import CurvePoint
from studio.retrain.options import RunOptions
from studio.retrain.run import read_run
from studio.retrain.run_folder import MODEL, read_model_json
from studio.retrain.time_budget import TRIALS, _Trial, _ways
from tests.retrain.material import ROOM, Watched, draw, run_on, snapshot_of

OPTIONS = RunOptions(how_many_training_steps=40, fine_tune_epochs=1, minutes=0.01)


def drawings(folder: Path = ROOM / "drawings in time") -> Path:
    return folder if folder.exists() else draw(folder, ("원 circle", "square", "line"), count=16)


def test_when_the_time_is_over_there_is_a_model_all_the_same(tmp_path: Path) -> None:
    points: list[CurvePoint] = []
    result = run_on(snapshot_of(drawings()), tmp_path / "run", OPTIONS, points=points)
    assert [trial["what"] for trial in result.facts["tried"]] == ["EfficientNet-Lite0"]
    assert result.options == OPTIONS
    chosen = RunOptions.from_json(result.facts["chosen"])
    assert chosen == replace(OPTIONS, minutes=None)
    assert max(point.step for point in points) == 40
    assert not (tmp_path / "run" / TRIALS).exists()
    assert read_run(tmp_path / "run") == result
    # What was chosen gives the same again, with no clock.
    again = run_on(snapshot_of(drawings()), tmp_path / "again", chosen)
    assert again.model_sha256 == result.model_sha256


def test_with_more_time_more_is_tried_and_the_best_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def clock() -> float:
        """The time is over while the third way is gone."""
        return 1e9 if (tmp_path / "run" / TRIALS / "2").exists() else 0

    monkeypatch.setattr(time_budget, "time", SimpleNamespace(monotonic=clock))
    result = run_on(snapshot_of(drawings()), tmp_path / "run", replace(OPTIONS, minutes=1.0))
    tried = result.facts["tried"]
    assert len(tried) == 2
    assert "last blocks" in tried[1]["what"]
    best = max(trial["validation_accuracy"] for trial in tried)
    assert result.validation is not None
    assert result.validation.accuracy == best
    engine = Engine((result.run_dir / MODEL).read_bytes())
    preprocessing = Preprocessing.from_json(read_model_json(result.run_dir)["preprocessing"])
    paths = {example.sha256: example.path for example in result.snapshot.examples}
    for prediction in result.evaluation.predictions:
        pixels = preprocessing.read(paths[prediction.sha256], "x")
        assert engine(pixels).max() == pytest.approx(prediction.score, abs=1e-5)
    assert np.isfinite(result.facts["seconds"]["training"])


def test_what_is_tried_in_which_order() -> None:
    """All that is installed, the best by what is published first; then what follows from what came of it."""
    right = {"efficientnet_lite0": 0.8, "efficientnet_lite1": 0.9, "efficientnet_lite2": 0.7}
    trials: list[_Trial] = []
    tried = []
    for options in _ways(RunOptions(fine_tune_epochs=24), trials):
        point = SimpleNamespace(accuracy=right.get(options.backbone, 0), cross_entropy=1)
        learnt: Any = SimpleNamespace(validation=point)
        trials.append(_Trial(options, learnt, (), 1.0))
        if set(options.backbone.split("+")) <= set(right):  # others may be on this machine
            tried.append((options.backbone, options.fine_tune and options.fine_tune_epochs))
    assert tried == [
        ("efficientnet_lite0", False),
        ("efficientnet_lite0", 24),
        ("efficientnet_lite2", False),
        ("efficientnet_lite1", False),
        ("efficientnet_lite1", 24),
        ("efficientnet_lite1+efficientnet_lite0+efficientnet_lite2", False),
        ("efficientnet_lite1", 40),
    ]


def test_what_was_tried_before_a_stop_is_not_lost(tmp_path: Path) -> None:
    options = replace(OPTIONS, minutes=5.0)
    with pytest.raises(Stopped):
        run_on(snapshot_of(drawings()), tmp_path / "run", options, progress=Watched("Fine-tuning", 1))
    # No time is left: the head that was trained stands, and is not trained again.
    diary = tmp_path / "run" / TRIALS / "diary.json"
    text = diary.read_text(encoding="utf-8")
    assert '"spent_s": ' in text
    diary.write_text(text.partition('"spent_s": ')[0] + '"spent_s": 1e9}', encoding="utf-8")
    progress = Watched()
    result = run_on(snapshot_of(drawings()), tmp_path / "run", options, progress=progress)
    assert len(result.facts["tried"]) == 1
    assert [done for phase, done, _total in progress.told if phase == "Training"] == [40]
