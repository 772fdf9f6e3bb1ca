"""The time budget search: its candidates, its result, and resuming it."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from studio.backbones.interpreter import LiteRTInterpreter
from studio.backbones.preprocessing import Preprocessing
from studio.errors import Stopped
from studio.retrain import time_budget
from studio.retrain.curve import CurvePoint
from studio.retrain.options import RunOptions
from studio.retrain.run import read_run
from studio.retrain.run_folder import MODEL_FILE, read_model_json
from studio.retrain.time_budget import TRIALS, _candidates, _Trial
from tests.retrain.material import ROOM, RecordingProgress, draw, snapshot_of, train_run

OPTIONS = RunOptions(how_many_training_steps=40, fine_tune_epochs=1, minutes=0.01)


def drawings(folder: Path = ROOM / "drawings in time") -> Path:
    return folder if folder.exists() else draw(folder, ("원 circle", "square", "line"), count=16)


def test_the_first_candidate_is_always_finished(tmp_path: Path) -> None:
    points: list[CurvePoint] = []
    result = train_run(snapshot_of(drawings()), tmp_path / "run", OPTIONS, points=points)
    assert [trial["what"] for trial in result.facts["tried"]] == ["EfficientNet-Lite0"]
    assert result.options == OPTIONS
    chosen = RunOptions.from_json(result.facts["chosen"])
    assert chosen == replace(OPTIONS, minutes=None)
    assert max(point.step for point in points) == 40
    assert not (tmp_path / "run" / TRIALS).exists()
    assert read_run(tmp_path / "run") == result
    # The chosen options give the same model without a time budget.
    again = train_run(snapshot_of(drawings()), tmp_path / "again", chosen)
    assert again.model_sha256 == result.model_sha256


def test_the_best_of_several_trials_is_returned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def clock() -> float:
        """The time is over while the third candidate is trained."""
        return 1e9 if (tmp_path / "run" / TRIALS / "2").exists() else 0

    monkeypatch.setattr(time_budget, "time", SimpleNamespace(monotonic=clock))
    result = train_run(snapshot_of(drawings()), tmp_path / "run", replace(OPTIONS, minutes=1.0))
    tried = result.facts["tried"]
    assert len(tried) == 2
    assert "last blocks" in tried[1]["what"]
    best = max(trial["validation_accuracy"] for trial in tried)
    assert result.validation is not None
    assert result.validation.accuracy == best
    interpreter = LiteRTInterpreter((result.run_dir / MODEL_FILE).read_bytes())
    preprocessing = Preprocessing.from_json(read_model_json(result.run_dir)["preprocessing"])
    paths = {example.sha256: example.path for example in result.snapshot.examples}
    for prediction in result.evaluation.predictions:
        pixels = preprocessing.read(paths[prediction.sha256], "x")
        assert interpreter(pixels).max() == pytest.approx(prediction.score, abs=1e-5)
    assert np.isfinite(result.facts["seconds"]["training"])


def test_order_of_the_candidates() -> None:
    """All installed backbones by published accuracy, then candidates made from the best trials."""
    accuracies = {"efficientnet_lite0": 0.8, "efficientnet_lite1": 0.9, "efficientnet_lite2": 0.7}
    trials: list[_Trial] = []
    tried = []
    for options in _candidates(RunOptions(fine_tune_epochs=24), trials):
        point = SimpleNamespace(accuracy=accuracies.get(options.backbone, 0), cross_entropy=1)
        result: Any = SimpleNamespace(validation=point)
        trials.append(_Trial(options, result, (), 1.0))
        if set(options.backbone.split("+")) <= set(accuracies):  # others may be on this machine
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


def test_a_resumed_search_keeps_its_trials(tmp_path: Path) -> None:
    options = replace(OPTIONS, minutes=5.0)
    with pytest.raises(Stopped):
        train_run(
            snapshot_of(drawings()), tmp_path / "run", options, progress=RecordingProgress("Fine-tuning", 1)
        )
    # No time is left: the trained head is the result, and is not trained again.
    record = tmp_path / "run" / TRIALS / "diary.json"
    text = record.read_text(encoding="utf-8")
    assert '"spent_s": ' in text
    record.write_text(text.partition('"spent_s": ')[0] + '"spent_s": 1e9}', encoding="utf-8")
    progress = RecordingProgress()
    result = train_run(snapshot_of(drawings()), tmp_path / "run", options, progress=progress)
    assert len(result.facts["tried"]) == 1
    assert [done for phase, done, _total in progress.reports if phase == "Training"] == [40]
