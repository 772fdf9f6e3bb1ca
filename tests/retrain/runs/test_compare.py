from pathlib import Path

import numpy as np
import pytest

from studio.retrain.evaluation.evaluation import Evaluation
from studio.retrain.runs.compare import (
    ClassCountChange,
    ImageChange,
    LabelAndSplit,
    class_metrics_changes,
    prediction_changes,
)
from studio.retrain.snapshot import Example, Snapshot
from tests.retrain.material import changes


def snapshot(text: str) -> Snapshot:
    """Make a snapshot of words such as `1:장미/testing`; training where no split is named."""
    examples = []
    for word in text.split():
        digest, _colon, rest = word.partition(":")
        label, _slash, split = rest.partition("/")
        examples.append(Example(digest, Path("x"), label, split or "training"))  # type: ignore[arg-type]
    return Snapshot(tuple(examples), tuple(sorted({e.label for e in examples})))


def test_every_kind_of_change_is_found_and_the_counts_add_up() -> None:
    before = snapshot("1:장미 2:장미/testing 3:장미 4:튤립 5:튤립/validation 6:daisy")
    after = snapshot("1:장미 2:튤립/testing 3:장미/testing 5:장미/testing 7:튤립 8:새것")
    found = changes(before, after)
    assert [change.sha256 for change in found.added] == ["7", "8"]
    assert [change.sha256 for change in found.removed] == ["4", "6"]
    assert found.relabelled == (
        ImageChange("2", LabelAndSplit("장미", "testing"), LabelAndSplit("튤립", "testing")),
        ImageChange("5", LabelAndSplit("튤립", "validation"), LabelAndSplit("장미", "testing")),
    )
    assert [change.sha256 for change in found.split_changed] == ["3", "5"]
    assert found.by_class == (
        ClassCountChange("daisy", 1, 0, added=0, removed=1, moved_in=0, moved_out=0),
        ClassCountChange("새것", 0, 1, added=1, removed=0, moved_in=0, moved_out=0),
        ClassCountChange("장미", 3, 3, added=0, removed=0, moved_in=1, moved_out=1),
        ClassCountChange("튤립", 2, 2, added=1, removed=1, moved_in=1, moved_out=1),
    )
    for each in found.by_class:
        assert each.after == each.before + each.added - each.removed + each.moved_in - each.moved_out
    assert list(found.by_class[0].to_json()) == [
        "label",
        "before",
        "after",
        "added",
        "removed",
        "came",
        "left",
    ]
    assert found


def test_nothing_changed() -> None:
    same = changes(snapshot("1:a 2:b"), snapshot("2:b 1:a"))
    assert not same
    assert [(each.label, each.before, each.after) for each in same.by_class] == [("a", 1, 1), ("b", 1, 1)]


def evaluation(text: str, classes: tuple[str, ...]) -> Evaluation:
    """Make an evaluation of words such as `1:ab`: the image with SHA-256 1, of class a, predicted as b."""
    words = [word.split(":") for word in text.split()]
    examples = [Example(digest, Path("x"), pair[0], "testing") for digest, pair in words]
    probabilities = np.zeros((len(words), len(classes)), np.float32)
    for row, (_digest, pair) in enumerate(words):
        probabilities[row, classes.index(pair[1])] = 1
    return Evaluation.of(examples, probabilities, classes)


def test_changes_of_class_metrics_and_predictions() -> None:
    before = evaluation("1:aa 2:ab 3:bb 4:ba 5:aa", ("a", "b"))
    after = evaluation("1:ab 2:aa 3:bb 4:bc 6:cc", ("a", "b", "c"))
    found_scores = class_metrics_changes(before, after)
    assert [each.label for each in found_scores] == ["a", "b", "c"]
    assert [each.before and (each.before.recall, each.before.precision) for each in found_scores] == [
        (pytest.approx(2 / 3), pytest.approx(2 / 3)),
        (0.5, 0.5),
        None,
    ]
    assert [each.after and (each.after.recall, each.after.precision) for each in found_scores] == [
        (0.5, 1.0),
        (0.5, 0.5),
        (1.0, 0.5),
    ]
    found = prediction_changes(before, after)
    assert [(was.sha256, was.predicted, now.predicted) for was, now in found.fixed] == [("2", "b", "a")]
    assert [(was.sha256, was.predicted, now.predicted) for was, now in found.regressed] == [("1", "a", "b")]
