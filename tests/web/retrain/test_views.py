"""Settings in words: what the list of runs and the comparison of two say."""

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from studio.retrain.options import RunOptions
from studio.web.retrain.views import backbone_title, settings_in_words

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
"""Another value for each option for which one more than its default is none."""


def words(options: RunOptions) -> dict[str, str]:
    return {setting.key: setting.word(options).text for setting in settings_in_words()}


@pytest.mark.parametrize("name", [field.name for field in fields(RunOptions)])
def test_no_setting_can_differ_unseen(name: str) -> None:
    # Some options count only beside another.
    usual = replace(
        RunOptions(), flip_left_right=name == "distorted_views", fine_tune=name == "fine_tune_epochs"
    )
    before = getattr(usual, name)
    value: Any = OTHERS[name] if name in OTHERS else 7 if before == -1 else before * 2 + 1
    if name == "learning_rate":
        value = 0.5
    change: dict[str, Any] = {name: value}
    changed = replace(usual, **change)
    assert [key for key, text in words(usual).items() if words(changed)[key] != text], name


def test_all_of_them_go_into_json() -> None:
    for setting in settings_in_words():
        text, sort = setting.word(RunOptions())
        assert text
        assert json.loads(json.dumps(sort, allow_nan=False)) == sort, setting.key


def test_backbones_by_the_name_that_people_know() -> None:
    assert backbone_title("efficientnet_lite0") == "EfficientNet-Lite0"
    assert backbone_title("efficientnet_lite0+gone") == "EfficientNet-Lite0 + gone"
