"""The flags of `retrain.py`: names, defaults, and which cannot be combined."""

from pathlib import Path
from typing import Any

import click
import pytest

from studio.backbones import DEFAULT
from studio.cli.retrain import retrain
from studio.cli.retrain_flags import options_of, resolve_flags
from studio.retrain.options import RunOptions

RETRAIN_PY = {
    "output_graph": Path("/tmp/output_graph.pb"),
    "intermediate_output_graphs_dir": Path("/tmp/intermediate_graph/"),
    "intermediate_store_frequency": 0,
    "output_labels": Path("/tmp/output_labels.txt"),
    "summaries_dir": Path("/tmp/retrain_logs"),
    "how_many_training_steps": 4000,
    "learning_rate": 0.01,
    "testing_percentage": 10,
    "validation_percentage": 10,
    "eval_step_interval": 10,
    "train_batch_size": 100,
    "test_batch_size": -1,
    "validation_batch_size": 100,
    "print_misclassified_test_images": False,
    "bottleneck_dir": Path("/tmp/bottleneck"),
    "final_tensor_name": "final_result",
    "flip_left_right": False,
    "random_crop": 0,
    "random_scale": 0,
    "random_brightness": 0,
    "architecture": "inception_v3",
}
OWN: dict[str, Any] = {
    **dict.fromkeys(("output_graph", "output_labels", "summaries_dir", "bottleneck_dir")),
    "intermediate_output_graphs_dir": None,
    "validation_batch_size": -1,
    "architecture": DEFAULT,
}


def given(*words: object) -> dict[str, Any]:
    context = retrain.make_context("retrain", ["--image_dir", "사진", *map(str, words)])
    return resolve_flags(context)


@pytest.mark.parametrize("flag", sorted(RETRAIN_PY))
def test_a_flag_has_the_default_of_retrain_py_with_compat_and_ours_without(flag: str) -> None:
    assert given("--compat", "retrain.py")[flag] == RETRAIN_PY[flag]
    assert given()[flag] == OWN.get(flag, RETRAIN_PY[flag])


def test_every_flag_of_retrain_py_is_known_in_both_spellings() -> None:
    spelled = {name: option for option in retrain.params for name in option.opts}
    for flag in (*RETRAIN_PY, "image_dir", "model_dir"):
        assert f"--{flag}" in spelled
        assert spelled[f"--{flag}"] is spelled[f"--{flag.replace('_', '-')}"]
        assert isinstance(spelled[f"--{flag}"], click.Option)
        assert getattr(spelled[f"--{flag}"], "help", None)


def test_explicit_flags_override_compat() -> None:
    words = ["--compat", "retrain.py", "--validation_batch_size", "-1", "--architecture", DEFAULT.upper()]
    chosen = given(*words, "--flip_left_right", "--random-crop", 30, "--summaries_dir", "로그")
    assert chosen["summaries_dir"] == Path("로그")
    options = options_of(chosen)
    assert options == RunOptions(
        compat="retrain.py", how_many_training_steps=4000, flip_left_right=True, random_crop=30
    )


def test_ours_become_options() -> None:
    words = ["--fine_tune", "--minutes", 2.5, "--l2", "auto", "--patience", 3, "--optimizer", "adam"]
    words += ["--class-weighting", "none", "--random_rotation", 200, "--random_colour", 20]
    words += ["--distorted_views", 9, "--seed", 5, "--fine-tune-epochs", 2, "--test_batch_size", 50]
    assert options_of(given(*words)) == RunOptions(
        how_many_training_steps=4000,
        fine_tune=True,
        fine_tune_epochs=2,
        minutes=2.5,
        l2=None,
        patience=3,
        optimizer="adam",
        class_weighting="none",
        random_rotation=200,
        random_colour=20,
        distorted_views=9,
        seed=5,
        test_batch_size=50,
    )
    assert options_of(given("--l2", 0.01)).l2 == 0.01


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--project", "꽃"], "--image_dir"),
        (["--compat", "retrain.py", "--fine_tune"], "--fine_tune"),
        (["--compat", "retrain.py", "--optimizer", "adam"], "--optimizer"),
        (["--compat", "tf2"], "retrain.py"),
        (["--compat", "retrain.py", "--flip_left_right", "--distorted_views", "1"], "--distorted_views 2"),
        (["--validation_batch_size", "0"], "-1 for all"),
        (["--test_batch_size", "many"], "many"),
        (["--l2", "-1"], "-1"),
        (["--random_crop", "100"], "100"),
        (["--architecture", "mobilenet_1.0_200"], "mobilenet_1.0_200"),
        (["--final_tensor_name", "my result"], "my result"),
        (["--intermediate_store_frequency", "5", "--fine_tune"], "--fine_tune"),
        (["--intermediate_store_frequency", "5", "--l2", "auto"], "--l2 auto"),
        (["--output_graph", "model.h5"], ".pb or .tflite"),
        (["--name", "첫 run"], "--run_dir"),
        (["--unknown"], "--unknown"),
    ],
)
def test_conflicting_flags_are_reported(words: list[str], message: str) -> None:
    with pytest.raises(click.UsageError) as raised:
        given(*words)
    assert message in raised.value.format_message()


def test_without_a_folder_or_a_project_nothing_can_be_done() -> None:
    with pytest.raises(click.UsageError, match="--project NAME"):
        resolve_flags(retrain.make_context("retrain", []))
