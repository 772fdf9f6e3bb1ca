"""What a person can ask of a run: defaults that need no thought, and everything else one click away."""

from dataclasses import replace

import streamlit as st

from studio.collect.projects import Project
from studio.curate.grid import Counts
from studio.errors import StudioError
from studio.jobs import requests
from studio.language import _, counted
from studio.retrain.fine_tuning.learning import tunable
from studio.retrain.options import RunOptions
from studio.web.retraining import backbone_choice, distorting
from studio.web.retraining.estimating import estimated
from studio.web.retraining.setting_words import optimizers, weightings
from studio.web.state import database, now, store
from studio.web.words import plain

_USUAL = RunOptions()
_MINUTES = 5.0
_MOST_RATES = 12
_LARGEST_RATE = 10
_CHOSEN = "chosen"
_MOST_ASIDE = 45
"""Percent: something must be left to learn from."""


def draw(here: Project, counts: Counts, stamp: str, *, hidden: bool) -> None:
    """Draw the settings and the button that begins; where it was pressed, ask for the run and draw anew.

    stamp: another one where a run has ended since. hidden: drawn, but not seen, while a run is on its way:
    Streamlit forgets what was chosen in widgets that are not drawn.
    """
    if hidden:
        st.html("<style>.st-key-asking { display: none; }</style>")
    with st.container(key="asking"):
        _draw(here, counts, None if hidden else stamp)


def _draw(here: Project, counts: Counts, stamp: str | None) -> None:
    too_few = sum(map(bool, counts.by_class.values())) < 2  # noqa: PLR2004 - telling apart takes two
    ways = {
        "head": _("Quick"),
        "fine_tune": _("Fine-tuned"),
        "minutes": _("Best in a given time"),
    }
    way = (
        st.segmented_control(
            _("How"),
            list(ways),
            format_func=lambda each: ways[each],
            default="head",
            key=f"way-{here.id}",
            width="stretch",
        )
        or "head"
    )
    st.caption(_about(way))
    base = _USUAL
    if way == "minutes":
        minutes = st.number_input(_("Minutes"), 0.5, 600.0, _MINUTES, step=0.5, format="%.1f")
        base = replace(base, minutes=float(minutes))
    several: tuple[RunOptions, ...] = ()
    with st.expander(_("Settings"), icon=":material/tune:"):
        try:
            several = _asked(here, replace(base, fine_tune=way == "fine_tune"))
        except (ValueError, StudioError) as error:
            st.warning(plain(str(error)))
    label = _("Retrain")
    if several[1:]:
        label = counted("Train {count} run", "Train {count} runs", len(several))
    begin, about = st.columns([1, 3], vertical_alignment="center")
    pressed = begin.button(
        label,
        type="primary",
        icon=":material/model_training:",
        disabled=too_few or not several,
        width="stretch",
    )
    if several and not too_few and stamp is not None:
        about.caption(estimated(here, several, stamp))
    if pressed:
        _begin(here, several)


def _about(way: str) -> str:
    return {
        "head": _("Trains a new last layer on what the network sees. Takes seconds once it has looked."),
        "fine_tune": _(
            "Trains the network's last blocks too, on larger pictures: more of them right, for minutes "
            "of work. The model takes 2 to 3 times as long for a picture."
        ),
        "minutes": _(
            "Give the time: the studio chooses backbone, views and depth, and ends in time with the best."
        ),
    }[way]


def _begin(here: Project, several: tuple[RunOptions, ...]) -> None:
    try:
        if len(several) == 1:
            requests.retrain(database(), store(), here.id, several[0], now())
        else:
            requests.sweep(database(), store(), here.id, several, now())
    except StudioError as error:
        st.warning(plain(str(error)))
    else:
        st.rerun()


def _asked(here: Project, base: RunOptions) -> tuple[RunOptions, ...]:
    """Draw every setting; return the options of each run. Raises ValueError, StudioError."""
    if base.minutes is None:
        base = replace(base, backbone=backbone_choice.choose(here))
    left, middle, right = st.columns(3)
    steps = left.number_input(
        _("Training steps"), 10, 100_000, base.how_many_training_steps, step=100, disabled=base.fine_tune
    )
    rates = _rates(
        middle.text_input(
            _("Learning rate"),
            f"{base.learning_rate:g}",
            disabled=base.fine_tune,
            help=_("Several, with commas between, are tried one after the other: 0.003, 0.01, 0.03"),
        )
    )
    seed = right.number_input(
        _("Seed"), 0, 2**31 - 1, base.seed, help=_("Decides the split and the batches.")
    )
    validation = left.number_input(
        _("Validation, percent"),
        0,
        _MOST_ASIDE,
        int(base.validation_percentage),
        help=_("Of the pictures, kept aside to choose the best head by."),
    )
    testing = middle.number_input(
        _("Testing, percent"),
        0,
        _MOST_ASIDE,
        int(base.testing_percentage),
        help=_("Of the pictures, kept aside to measure the result on. They are never trained on."),
    )
    base = replace(base, validation_percentage=int(validation), testing_percentage=int(testing))
    if base.fine_tune:
        epochs = right.number_input(
            _("Fine-tuning epochs"), 1, 100, base.fine_tune_epochs, help=_("Passes over all pictures.")
        )
        base = replace(base, fine_tune_epochs=int(epochs))
        tunable(base.backbone)  # so that what cannot be is said before it is tried
    else:
        base = _head(base)
    base = distorting.choose(here, replace(base, how_many_training_steps=int(steps), seed=int(seed)))
    return tuple(replace(base, learning_rate=rate) for rate in rates)


def _head(base: RunOptions) -> RunOptions:
    """Draw how the last layer is trained."""
    left, middle, right = st.columns(3)
    optimizer = left.selectbox(
        _("Optimizer"), list(optimizers()), format_func=lambda name: optimizers()[name]
    )
    l2 = middle.selectbox(
        "L2",
        ["0", _CHOSEN],
        format_func=lambda value: _("chosen on the validation pictures") if value == _CHOSEN else value,
        accept_new_options=True,
        help=_("Weight of half the squared weights in the loss; holds large weights down."),
    )
    weighting = right.selectbox(
        _("Drawn alike"),
        list(weightings()),
        format_func=lambda name: weightings()[name],
        help=_(
            "Classes: a small class counts as much as a large one. Pictures: each picture counts the same."
        ),
    )
    batch = left.number_input(_("Batch"), 1, 10_000, base.train_batch_size)
    patience = middle.number_input(
        _("Patience"),
        0,
        10_000,
        base.patience,
        help=_("Ends after so many validations in a row that brought nothing better; 0 trains all steps."),
    )
    return replace(
        base,
        train_batch_size=int(batch),
        optimizer=optimizer,
        l2=_l2(l2 or "0"),
        class_weighting=weighting,
        patience=int(patience),
    )


def _rates(text: str) -> tuple[float, ...]:
    parts = [part.strip() for part in text.replace(";", ",").split(",") if part.strip()]
    try:
        rates = tuple(dict.fromkeys(float(part) for part in parts))
    except ValueError:
        rates = ()
    if not 0 < len(rates) <= _MOST_RATES or not all(0 < rate <= _LARGEST_RATE for rate in rates):
        raise ValueError(
            _(
                "expected one to {most} learning rates above 0 and up to {largest}, such as 0.01, 0.03; "
                "“{text}” came."
            ).format(most=_MOST_RATES, largest=_LARGEST_RATE, text=text[:60])
        )
    return rates


def _l2(text: str) -> float | None:
    if text == _CHOSEN:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ValueError(
            _("expected an L2 of 0 or more, such as 0.001; “{text}” came.").format(text=text[:40])
        )
    return value
