"""Texts of run options in the table of runs and in comparisons."""

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from studio.retrain.options import RunOptions
from studio.web.retrain.option_texts import backbone_title, option_texts

OTHERS: dict[str, Any] = {
    "backbone": "efficientnet_lite1",
    "optimizer": "adam",
    "l2": None,
    "class_weighting": "none",
    "flip_left_right": True,
    "fine_tune": True,
    "minutes": 2.5,
    "compat": "retrain.py",
}
"""Another value of each option whose default cannot be increased."""


def cell_texts(options: RunOptions) -> dict[str, str]:
    return {option.key: option.cell(options).text for option in option_texts()}


@pytest.mark.parametrize("name", [field.name for field in fields(RunOptions)])
def test_every_option_has_a_text_that_shows_a_change(name: str) -> None:
    # Some options have an effect only together with another.
    defaults = replace(
        RunOptions(), flip_left_right=name == "distorted_views", fine_tune=name == "fine_tune_epochs"
    )
    before = getattr(defaults, name)
    value: Any = OTHERS[name] if name in OTHERS else 7 if before == -1 else before * 2 + 1
    if name == "learning_rate":
        value = 0.5
    change: dict[str, Any] = {name: value}
    changed = replace(defaults, **change)
    assert cell_texts(changed) != cell_texts(defaults), name


def test_cells_can_be_written_as_json() -> None:
    for option in option_texts():
        text, sort = option.cell(RunOptions())
        assert text
        assert json.loads(json.dumps(sort, allow_nan=False)) == sort, option.key


def test_backbone_titles() -> None:
    assert backbone_title("efficientnet_lite0") == "EfficientNet-Lite0"
    assert backbone_title("efficientnet_lite0+gone") == "EfficientNet-Lite0 + gone"
