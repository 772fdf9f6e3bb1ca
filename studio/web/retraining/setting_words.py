"""A run's settings in words: a name and a value each, for the list of runs and for comparing two."""

from collections.abc import Callable
from typing import NamedTuple

from studio.language import _, counted
from studio.retrain.backbones import BACKBONES
from studio.retrain.options import ClassWeighting, Optimizer, RunOptions

Sorted = float | str | None


class Worded(NamedTuple):
    """A value for people, and what it is sorted by."""

    text: str
    sort: Sorted


class Setting(NamedTuple):
    """One setting. word: what it is in some options."""

    key: str
    label: str
    word: Callable[[RunOptions], Worded]


def backbone_title(name: str) -> str:
    """Return how people know a backbone, or several joined by "+"; as it is where no registry has it."""
    known = (BACKBONES.get(part) for part in name.split("+"))
    return " + ".join(each.title if each else part for part, each in zip(name.split("+"), known, strict=True))


def settings_in_words() -> tuple[Setting, ...]:
    """Return every setting, in the order in which a table shows them."""
    return (
        Setting("backbone", _("Backbone"), lambda o: _text(backbone_title(o.backbone))),
        Setting("fine_tune", _("Fine-tuned"), _fine_tuned),
        Setting("how_many_training_steps", _("Steps"), lambda o: _number(o.how_many_training_steps)),
        Setting("learning_rate", _("Learning rate"), lambda o: _number(o.learning_rate)),
        Setting("optimizer", _("Optimizer"), lambda o: _text(optimizers()[o.optimizer])),
        Setting("l2", "L2", lambda o: Worded(_("chosen"), -1.0) if o.l2 is None else _number(o.l2)),
        Setting("train_batch_size", _("Batch"), lambda o: _number(o.train_batch_size)),
        Setting("class_weighting", _("Drawn alike"), lambda o: _text(weightings()[o.class_weighting])),
        Setting("patience", _("Patience"), lambda o: _number(o.patience)),
        Setting("distortions", _("Distortions"), lambda o: _text(distortions_in_words(o))),
        Setting("minutes", _("Best in"), _minutes),
        Setting("seed", _("Seed"), lambda o: _number(o.seed)),
        Setting("validation_percentage", _("Validation"), lambda o: _percent(o.validation_percentage)),
        Setting("testing_percentage", _("Testing"), lambda o: _percent(o.testing_percentage)),
        Setting("eval_step_interval", _("Validated every"), lambda o: _number(o.eval_step_interval)),
        Setting("validation_batch_size", _("Validation batch"), lambda o: _batch(o.validation_batch_size)),
        Setting("test_batch_size", _("Test batch"), lambda o: _batch(o.test_batch_size)),
        Setting("compat", _("Conventions"), lambda o: _text(o.compat or _("the studio's"))),
    )


def optimizers() -> dict[Optimizer, str]:
    """Return the optimizers' names."""
    return {"sgd": _("plain gradient descent"), "momentum": _("momentum"), "adam": "Adam"}


def weightings() -> dict[ClassWeighting, str]:
    """Return what is drawn alike, by `class_weighting`."""
    return {"balanced": _("classes"), "none": _("pictures")}


def distortions_in_words(options: RunOptions) -> str:
    """Return the distortions that are asked for, such as `flip, crop 10%, 4 views`; a dash for none."""
    if not options.distorts:
        return "—"
    amounts = {
        _("crop {amount}%"): options.random_crop,
        _("scale {amount}%"): options.random_scale,
        _("brightness {amount}%"): options.random_brightness,
        _("rotation {amount}°"): options.random_rotation,
        _("colour {amount}%"): options.random_colour,
    }
    said = [_("flip")] if options.flip_left_right else []
    said += [text.format(amount=amount) for text, amount in amounts.items() if amount]
    said.append(counted("{count} view", "{count} views", options.distorted_views))
    return ", ".join(said)


def _fine_tuned(options: RunOptions) -> Worded:
    if not options.fine_tune:
        return Worded("—", 0)
    epochs = options.fine_tune_epochs
    return Worded(counted("{count} epoch", "{count} epochs", epochs), epochs)


def _minutes(options: RunOptions) -> Worded:
    if options.minutes is None:
        return Worded("—", None)
    return Worded(_("{count} min").format(count=f"{options.minutes:g}"), options.minutes)


def _batch(size: int) -> Worded:
    return Worded(_("all"), 2**31) if size == -1 else _number(size)


def _text(text: str) -> Worded:
    return Worded(text, text)


def _number(value: float) -> Worded:
    return Worded(f"{value:,}" if isinstance(value, int) else f"{value:g}", value)


def _percent(value: float) -> Worded:
    return Worded(f"{value:g}%", value)
