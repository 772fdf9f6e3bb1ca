"""The flags of `python -m studio retrain`: those of `retrain.py` under its names, and ours."""

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from studio.backbones import DEFAULT, get_backbone
from studio.cli.options import flag
from studio.errors import BackboneError
from studio.i18n import _
from studio.retrain.options import ClassWeighting, Compat, Optimizer, RunOptions

_Command = TypeVar("_Command", bound=Callable[..., Any])

_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)
_COUNT = click.IntRange(min=1)
_PERCENT = click.IntRange(min=0, max=99)
_ANY_PERCENT = click.IntRange(min=0)


class _Backbone(click.ParamType[str]):
    """A backbone of the registry, or several joined by “+”."""

    name = "backbone"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the backbone's name; like retrain.py, in any case of letters."""
        try:
            return get_backbone(str(value).lower()).name
        except BackboneError as error:
            self.fail(str(error), param, ctx)


class _BatchSize(click.ParamType[int]):
    """A batch size: a number of images, or -1 for all."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the checked number."""
        size = int(click.INT.convert(value, param, ctx))
        if size < 1 and size != -1:
            self.fail(_("expected 1 or more, or -1 for all; got {size}").format(size=size), param, ctx)
        return size


class _L2(click.ParamType[float | None]):
    """The L2 penalty: a number, or “auto” to choose it by validation accuracy."""

    name = "number|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | None:
        """Return the checked number."""
        if value == "auto":
            return None
        return float(click.FloatRange(min=0).convert(value, param, ctx))


_DEFAULTS = RunOptions()

_RETRAIN_PY_FLAGS = (
    # As typed: with --compat the split is a hash of the whole path.
    flag("image_dir", type=click.Path(file_okay=False), help=_("Folder with one subfolder per class.")),
    flag(
        "output_graph",
        type=_FILE,
        help=_("Also write the model to this file: .tflite, or a frozen graph as .pb."),
    ),
    flag(
        "intermediate_output_graphs_dir",
        type=_FOLDER,
        help=_("Folder for intermediate graphs (default: “intermediate” in the run folder)."),
    ),
    flag(
        "intermediate_store_frequency",
        type=click.IntRange(min=0),
        default=0,
        help=_("Steps between intermediate graphs (intermediate_STEP.pb); 0: none."),
    ),
    flag("output_labels", type=_FILE, help=_("Also write the labels to this file, one per line.")),
    flag("summaries_dir", type=_FOLDER, help=_("Folder for TensorBoard event files.")),
    flag("how_many_training_steps", type=_COUNT, default=4000, help=_("Number of training steps.")),
    flag(
        "learning_rate",
        type=click.FloatRange(min=0, min_open=True),
        default=_DEFAULTS.learning_rate,
        help=_("Learning rate of the optimizer."),
    ),
    flag("testing_percentage", type=_PERCENT, default=10, help=_("Percentage of images in the test set.")),
    flag(
        "validation_percentage",
        type=_PERCENT,
        default=10,
        help=_("Percentage of images in the validation set, which selects the best step."),
    ),
    flag(
        "eval_step_interval",
        type=_COUNT,
        default=10,
        help=_("Steps between two evaluations on the validation set."),
    ),
    flag("train_batch_size", type=_COUNT, default=100, help=_("Training images per step.")),
    flag("test_batch_size", type=_BatchSize(), default=-1, help=_("Test images to evaluate; -1: all.")),
    flag(
        "validation_batch_size",
        type=_BatchSize(),
        default=-1,
        help=_("Validation images per evaluation; -1: all."),
    ),
    flag(
        "print_misclassified_test_images",
        is_flag=True,
        help=_("List the misclassified test images."),
    ),
    flag("model_dir", type=_FOLDER, help=_("Folder for the converted backbones.")),
    flag("bottleneck_dir", type=_FOLDER, help=_("Folder for the bottleneck cache.")),
    flag("final_tensor_name", default="final_result", help=_("Name of the output tensor in --output_graph.")),
    flag("flip_left_right", is_flag=True, help=_("Randomly flip half of the training images horizontally.")),
    flag(
        "random_crop",
        type=_PERCENT,
        default=0,
        help=_("Random crop: margin to cut off training images, in percent."),
    ),
    flag(
        "random_scale",
        type=_ANY_PERCENT,
        default=0,
        help=_("Random scale: how much to enlarge training images at most, in percent."),
    ),
    flag(
        "random_brightness",
        type=_ANY_PERCENT,
        default=0,
        help=_("Random brightness: how much to change it at most, in percent."),
    ),
    flag("architecture", type=_Backbone(), default=DEFAULT, help=_("Backbone: the pretrained network.")),
)

_OWN_FLAGS = (
    flag("project", type=str, help=_("Train on the labels of this project instead of a folder.")),
    flag("name", type=str, help=_("With --project: name of the run.")),
    flag("run_dir", type=_FOLDER, help=_("Folder of the run; an interrupted run continues in its folder.")),
    flag("seed", type=click.IntRange(min=0), default=0, help=_("Random seed of the split and the batches.")),
    flag(
        "optimizer",
        type=click.Choice(get_args(Optimizer)),
        default=_DEFAULTS.optimizer,
        help=_("Optimizer of the head."),
    ),
    flag(
        "l2",
        type=_L2(),
        default=0.0,
        help=_("L2 penalty on the weights of the head; “auto” tries several values."),
    ),
    flag(
        "class_weighting",
        type=click.Choice(get_args(ClassWeighting)),
        default=_DEFAULTS.class_weighting,
        help=_("Class balancing: draw all classes equally often (balanced), or all images (none)."),
    ),
    flag(
        "patience",
        type=click.IntRange(min=0),
        default=0,
        help=_("Early stopping: end after this many evaluations without improvement; 0: never."),
    ),
    flag(
        "random_rotation", type=_ANY_PERCENT, default=0, help=_("Random rotation: angle at most, in degrees.")
    ),
    flag(
        "random_colour",
        type=_PERCENT,
        default=0,
        help=_("Random colour: how much to change saturation and hue at most, in percent."),
    ),
    flag(
        "distorted_views",
        type=_COUNT,
        default=_DEFAULTS.distorted_views,
        help=_("Distorted views per training image; computed once and cached."),
    ),
    flag("fine_tune", is_flag=True, help=_("Fine-tune: train the last blocks of the backbone as well.")),
    flag(
        "fine_tune_epochs",
        type=_COUNT,
        default=_DEFAULTS.fine_tune_epochs,
        help=_("Epochs of fine-tuning."),
    ),
    flag(
        "minutes",
        type=click.FloatRange(min=0, min_open=True),
        help=_("Time budget: try backbones and settings for this many minutes and keep the best."),
    ),
    flag(
        "compat",
        type=click.Choice([name for name in get_args(Compat) if name]),
        help=_("Behave as that script: its defaults, split, labels and files."),
    ),
)

NOT_WITH_COMPAT = (
    *("project", "name", "optimizer", "l2", "class_weighting", "patience"),
    *("random_rotation", "random_colour", "fine_tune", "fine_tune_epochs", "minutes"),
)
"""Flags that cannot be combined with `--compat`."""
NOT_WITH_PROJECT = (
    *("image_dir", "summaries_dir", "bottleneck_dir", "model_dir", "compat"),
    *("intermediate_output_graphs_dir", "intermediate_store_frequency"),
)
"""What does not go together with `--project`."""
COMPAT_DEFAULTS: dict[str, Any] = {
    "architecture": "inception_v3",
    "validation_batch_size": 100,
    "output_graph": Path("/tmp/output_graph.pb"),  # noqa: S108 - those of retrain.py
    "output_labels": Path("/tmp/output_labels.txt"),  # noqa: S108
    "summaries_dir": Path("/tmp/retrain_logs"),  # noqa: S108
    "bottleneck_dir": Path("/tmp/bottleneck"),  # noqa: S108
    "intermediate_output_graphs_dir": Path("/tmp/intermediate_graph"),  # noqa: S108
}
"""Defaults that `--compat` changes. Not `model_dir`: its files are not those of retrain.py."""


def retrain_flags(command: _Command) -> _Command:
    """Add all flags to a command, in the order of its help."""
    for add in reversed((*_RETRAIN_PY_FLAGS, *_OWN_FLAGS)):
        command = add(command)
    return command


def resolve_flags(context: click.Context) -> dict[str, Any]:
    """Return the values of all flags by name, with the defaults of `--compat` if it is given.

    Raises UsageError for flags that cannot be combined.
    """
    given: dict[str, Any] = dict(context.params)
    explicit = {
        name for name in given if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
    }
    if given["project"] is None and not given["image_dir"]:
        raise click.UsageError(_("Expected --image_dir FOLDER or --project NAME, to train on."))
    for one, others in (("project", NOT_WITH_PROJECT), ("compat", NOT_WITH_COMPAT)):
        if one in explicit and (clash := sorted(explicit & set(others))):
            raise click.UsageError(
                _("--{one} and --{other} cannot be combined. Leave one out.").format(one=one, other=clash[0])
            )
    if given["name"] and given["project"] is None:
        raise click.UsageError(_("--name is for the runs of a project: add --project, or use --run_dir."))
    if given["compat"]:
        given |= {name: value for name, value in COMPAT_DEFAULTS.items() if name not in explicit}
    if given["testing_percentage"] + given["validation_percentage"] >= 100:  # noqa: PLR2004 - percent
        raise click.UsageError(
            _("Expected less than 100 for --testing_percentage and --validation_percentage together.")
        )
    if given["compat"] and given["flip_left_right"] and given["distorted_views"] == 1:
        raise click.UsageError(_("--flip_left_right with --compat needs --distorted_views 2 or more."))
    _check_graphs(given)
    return given


def _check_graphs(given: dict[str, Any]) -> None:
    output_graph: Path | None = given["output_graph"]
    if output_graph is not None and output_graph.suffix.lower() not in (".pb", ".tflite"):
        raise click.UsageError(
            _("expected --output_graph to end in .pb or .tflite; got {name}").format(name=output_graph.name)
        )
    if not re.fullmatch(r"[A-Za-z0-9.][\w.\\/>-]*", given["final_tensor_name"], re.ASCII):
        raise click.UsageError(
            _("expected --final_tensor_name of letters, digits and . _ - / only; got “{name}”").format(
                name=given["final_tensor_name"]
            )
        )
    conflicting = {
        "fine_tune": given["fine_tune"],
        "minutes": given["minutes"] is not None,
        "l2 auto": given["l2"] is None,
    }
    if given["intermediate_store_frequency"] and any(conflicting.values()):
        raise click.UsageError(
            _("Intermediate graphs need one head on an unchanged backbone: leave out --{name}.").format(
                name=next(name for name, given_too in conflicting.items() if given_too)
            )
        )


def options_of(given: dict[str, Any]) -> RunOptions:
    """Return the run options that the flags give."""
    chosen = {field.name: given[field.name] for field in fields(RunOptions) if field.name in given}
    return RunOptions(**{**chosen, "backbone": given["architecture"], "compat": given["compat"] or ""})
