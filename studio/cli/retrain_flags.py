"""The flags of `python -m studio retrain`: those of `retrain.py` by its names, and ours."""

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from studio.backbones import DEFAULT, backbone_named
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
        """Check the name, in small letters as the peer does."""
        try:
            return backbone_named(str(value).lower()).name
        except BackboneError as error:
            self.fail(str(error), param, ctx)


class _BatchSize(click.ParamType[int]):
    """A number of images, or -1 for all."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Check the number."""
        size = int(click.INT.convert(value, param, ctx))
        if size < 1 and size != -1:
            self.fail(_("expected 1 or more, or -1 for all; got {size}").format(size=size), param, ctx)
        return size


class _L2(click.ParamType[float | None]):
    """A weight, or “auto”, which leaves the choice to the validation images."""

    name = "number|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | None:
        """Check the number."""
        if value == "auto":
            return None
        return float(click.FloatRange(min=0).convert(value, param, ctx))


_DEFAULTS = RunOptions()

_THE_PEERS = (
    # As it was typed: with --compat every letter of it decides the split.
    flag("image_dir", type=click.Path(file_okay=False), help=_("A folder with a subfolder for each class.")),
    flag(
        "output_graph", type=_FILE, help=_("Also write the model here: a .tflite, or a frozen graph as .pb.")
    ),
    flag(
        "intermediate_output_graphs_dir",
        type=_FOLDER,
        help=_("Where intermediate graphs go; “intermediate” in the run's folder if not said."),
    ),
    flag(
        "intermediate_store_frequency",
        type=click.IntRange(min=0),
        default=0,
        help=_("Write intermediate_STEP.pb every so many steps; 0 writes none."),
    ),
    flag("output_labels", type=_FILE, help=_("Also write the labels here, a line each.")),
    flag("summaries_dir", type=_FOLDER, help=_("Where TensorBoard's event files go.")),
    flag("how_many_training_steps", type=_COUNT, default=4000, help=_("How long to train.")),
    flag(
        "learning_rate",
        type=click.FloatRange(min=0, min_open=True),
        default=_DEFAULTS.learning_rate,
        help=_("How far a step goes."),
    ),
    flag("testing_percentage", type=_PERCENT, default=10, help=_("Images kept for the test at the end.")),
    flag("validation_percentage", type=_PERCENT, default=10, help=_("Images that choose the best head.")),
    flag("eval_step_interval", type=_COUNT, default=10, help=_("Steps between two validations.")),
    flag("train_batch_size", type=_COUNT, default=100, help=_("Images in a step.")),
    flag("test_batch_size", type=_BatchSize(), default=-1, help=_("Images in the test; -1 takes all.")),
    flag(
        "validation_batch_size",
        type=_BatchSize(),
        default=-1,
        help=_("Images in a validation; -1 takes all."),
    ),
    flag(
        "print_misclassified_test_images",
        is_flag=True,
        help=_("List the test images that were taken for another class."),
    ),
    flag("model_dir", type=_FOLDER, help=_("Where the pretrained networks are kept, ready to run.")),
    flag("bottleneck_dir", type=_FOLDER, help=_("Where bottlenecks are cached.")),
    flag("final_tensor_name", default="final_result", help=_("What the output is called in --output_graph.")),
    flag("flip_left_right", is_flag=True, help=_("Mirror training images, every other time.")),
    flag("random_crop", type=_PERCENT, default=0, help=_("Percent to cut off training images, anywhere.")),
    flag("random_scale", type=_ANY_PERCENT, default=0, help=_("Percent to enlarge them by, at most.")),
    flag("random_brightness", type=_ANY_PERCENT, default=0, help=_("Percent to light or darken them by.")),
    flag("architecture", type=_Backbone(), default=DEFAULT, help=_("The pretrained network.")),
)

_OURS = (
    flag("project", type=str, help=_("Retrain on the labels of this project instead of a folder's.")),
    flag("name", type=str, help=_("With --project: what the run is called in lists.")),
    flag("run_dir", type=_FOLDER, help=_("The run's folder; naming one that was stopped goes on with it.")),
    flag("seed", type=click.IntRange(min=0), default=0, help=_("Decides the split and the batches.")),
    flag(
        "optimizer",
        type=click.Choice(get_args(Optimizer)),
        default=_DEFAULTS.optimizer,
        help=_("How to step."),
    ),
    flag("l2", type=_L2(), default=0.0, help=_("How much large weights cost; “auto” tries several.")),
    flag(
        "class_weighting",
        type=click.Choice(get_args(ClassWeighting)),
        default=_DEFAULTS.class_weighting,
        help=_("Draw classes alike, or images alike."),
    ),
    flag(
        "patience",
        type=click.IntRange(min=0),
        default=0,
        help=_("End after so many validations that bring nothing better; 0 never does."),
    ),
    flag("random_rotation", type=_ANY_PERCENT, default=0, help=_("Degrees to turn training images by.")),
    flag("random_colour", type=_PERCENT, default=0, help=_("Percent to vary saturation and hue by.")),
    flag(
        "distorted_views",
        type=_COUNT,
        default=_DEFAULTS.distorted_views,
        help=_("Distorted copies of each training image, made once."),
    ),
    flag("fine_tune", is_flag=True, help=_("Train the network's last blocks too.")),
    flag(
        "fine_tune_epochs",
        type=_COUNT,
        default=_DEFAULTS.fine_tune_epochs,
        help=_("Passes over the images."),
    ),
    flag(
        "minutes",
        type=click.FloatRange(min=0, min_open=True),
        help=_("Choose network and settings, and stop with the best after so many minutes."),
    ),
    flag(
        "compat",
        type=click.Choice([name for name in get_args(Compat) if name]),
        help=_("Do all as that script does: its defaults, split, labels and files."),
    ),
)

NOT_THE_PEERS = (
    *("project", "name", "optimizer", "l2", "class_weighting", "patience"),
    *("random_rotation", "random_colour", "fine_tune", "fine_tune_epochs", "minutes"),
)
"""What does not go together with `--compat`."""
NOT_OF_A_PROJECT = (
    *("image_dir", "summaries_dir", "bottleneck_dir", "model_dir", "compat"),
    *("intermediate_output_graphs_dir", "intermediate_store_frequency"),
)
"""What does not go together with `--project`."""
PEERS_DEFAULTS: dict[str, Any] = {
    "architecture": "inception_v3",
    "validation_batch_size": 100,
    "output_graph": Path("/tmp/output_graph.pb"),  # noqa: S108 - the peer's own, here and below
    "output_labels": Path("/tmp/output_labels.txt"),  # noqa: S108
    "summaries_dir": Path("/tmp/retrain_logs"),  # noqa: S108
    "bottleneck_dir": Path("/tmp/bottleneck"),  # noqa: S108
    "intermediate_output_graphs_dir": Path("/tmp/intermediate_graph"),  # noqa: S108
}
"""Where `--compat` has other defaults. Not `model_dir`: what we keep there is no file of the peer's."""


def retrain_flags(command: _Command) -> _Command:
    """Add all flags to a command, in the order in which its help shows them."""
    for add in reversed((*_THE_PEERS, *_OURS)):
        command = add(command)
    return command


def settled(context: click.Context) -> dict[str, Any]:
    """Return the flags by name, with the defaults of `--compat` where it is said.

    Raises UsageError for flags that do not go together.
    """
    given: dict[str, Any] = dict(context.params)
    said = {
        name for name in given if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
    }
    if given["project"] is None and not given["image_dir"]:
        raise click.UsageError(_("Say what to train on: --image_dir FOLDER, or --project NAME."))
    for one, others in (("project", NOT_OF_A_PROJECT), ("compat", NOT_THE_PEERS)):
        if one in said and (clash := sorted(said & set(others))):
            raise click.UsageError(
                _("--{one} and --{other} do not go together. Leave one out.").format(one=one, other=clash[0])
            )
    if given["name"] and given["project"] is None:
        raise click.UsageError(_("--name is for a project's runs: say --project too, or name a --run_dir."))
    if given["compat"]:
        given |= {name: value for name, value in PEERS_DEFAULTS.items() if name not in said}
    if given["testing_percentage"] + given["validation_percentage"] >= 100:  # noqa: PLR2004 - percent
        raise click.UsageError(_("Testing and validation must leave images for training: below 100."))
    if given["compat"] and given["flip_left_right"] and given["distorted_views"] == 1:
        raise click.UsageError(
            _("Mirrored every other time takes two views at least: --distorted_views 2 or more.")
        )
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
    several = {
        "fine_tune": given["fine_tune"],
        "minutes": given["minutes"] is not None,
        "l2 auto": given["l2"] is None,
    }
    if given["intermediate_store_frequency"] and any(several.values()):
        raise click.UsageError(
            _("Intermediate graphs are of one head on a network as it comes: leave out --{name}.").format(
                name=next(name for name, said in several.items() if said)
            )
        )


def options_of(given: dict[str, Any]) -> RunOptions:
    """Return a run's options out of the flags."""
    chosen = {field.name: given[field.name] for field in fields(RunOptions) if field.name in given}
    return RunOptions(**{**chosen, "backbone": given["architecture"], "compat": given["compat"] or ""})
