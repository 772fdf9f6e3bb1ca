"""Texts of run options: their labels, and their values in the table of runs and in comparisons."""

from collections.abc import Callable
from typing import NamedTuple

from studio.backbones import BACKBONES
from studio.i18n import _, counted
from studio.retrain.options import ClassWeighting, Optimizer, RunOptions


class Cell(NamedTuple):
    """A cell of the table of runs: its text, and the value that the column is sorted by."""

    text: str
    sort: float | str | None


class OptionText(NamedTuple):
    """An option's key, label, and the function that returns its cell for given options."""

    key: str
    label: str
    cell: Callable[[RunOptions], Cell]


def option_texts() -> tuple[OptionText, ...]:
    """Return the texts of all options, in the order of the table's columns."""
    return (
        OptionText("backbone", _("Backbone"), lambda o: _text(backbone_title(o.backbone))),
        OptionText("fine_tune", _("Fine-tuning"), _fine_tuning),
        OptionText(
            "how_many_training_steps", _("Training steps"), lambda o: _number(o.how_many_training_steps)
        ),
        OptionText("learning_rate", _("Learning rate"), lambda o: _number(o.learning_rate)),
        OptionText("optimizer", _("Optimizer"), lambda o: _text(optimizer_titles()[o.optimizer])),
        OptionText("l2", "L2", lambda o: Cell(_("automatic"), -1.0) if o.l2 is None else _number(o.l2)),
        OptionText("train_batch_size", _("Batch size"), lambda o: _number(o.train_batch_size)),
        OptionText(
            "class_weighting",
            _("Class balancing"),
            lambda o: _text(class_balancing_titles()[o.class_weighting]),
        ),
        OptionText("patience", _("Patience"), lambda o: _number(o.patience)),
        OptionText("distortions", _("Distortions"), lambda o: _text(distortions_text(o))),
        OptionText("minutes", _("Time budget"), _time_budget),
        OptionText("seed", _("Seed"), lambda o: _number(o.seed)),
        OptionText(
            "validation_percentage", _("Validation split"), lambda o: _percent(o.validation_percentage)
        ),
        OptionText("testing_percentage", _("Test split"), lambda o: _percent(o.testing_percentage)),
        OptionText("eval_step_interval", _("Validation interval"), lambda o: _number(o.eval_step_interval)),
        OptionText(
            "validation_batch_size",
            _("Validation batch size"),
            lambda o: _batch_size(o.validation_batch_size),
        ),
        OptionText("test_batch_size", _("Test batch size"), lambda o: _batch_size(o.test_batch_size)),
        OptionText("compat", _("Compatibility"), lambda o: _text(o.compat or "—")),
    )


def backbone_title(name: str) -> str:
    """Return the title of a backbone, or of several joined by "+"; the name itself for an unknown one."""
    return " + ".join(BACKBONES[part].title if part in BACKBONES else part for part in name.split("+"))


def optimizer_titles() -> dict[Optimizer, str]:
    """Return the titles of the optimizers."""
    return {"sgd": "SGD", "momentum": _("SGD with momentum"), "adam": "Adam"}


def class_balancing_titles() -> dict[ClassWeighting, str]:
    """Return the titles of the ways to balance classes, by `class_weighting`."""
    return {"balanced": _("balanced"), "none": _("none")}


def distortions_text(options: RunOptions) -> str:
    """Return the distortions of a run, such as `flip, crop 10%, 4 views`; a dash for none."""
    if not options.distorts:
        return "—"
    amounts = {
        _("crop {amount}%"): options.random_crop,
        _("scale {amount}%"): options.random_scale,
        _("brightness {amount}%"): options.random_brightness,
        _("rotation {amount}°"): options.random_rotation,
        _("colour {amount}%"): options.random_colour,
    }
    parts = [_("flip")] if options.flip_left_right else []
    parts += [text.format(amount=amount) for text, amount in amounts.items() if amount]
    parts.append(counted("{count} view", "{count} views", options.distorted_views))
    return ", ".join(parts)


def _fine_tuning(options: RunOptions) -> Cell:
    if not options.fine_tune:
        return Cell("—", 0)
    epochs = options.fine_tune_epochs
    return Cell(counted("{count} epoch", "{count} epochs", epochs), epochs)


def _time_budget(options: RunOptions) -> Cell:
    if options.minutes is None:
        return Cell("—", None)
    return Cell(_("{count} min").format(count=f"{options.minutes:g}"), options.minutes)


def _batch_size(size: int) -> Cell:
    return Cell(_("all"), 2**31) if size == -1 else _number(size)


def _text(text: str) -> Cell:
    return Cell(text, text)


def _number(value: float) -> Cell:
    return Cell(f"{value:,}" if isinstance(value, int) else f"{value:g}", value)


def _percent(value: float) -> Cell:
    return Cell(f"{value:g}%", value)
