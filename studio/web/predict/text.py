"""What the Predict page says of answers."""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from studio.i18n import _, counted
from studio.retrain.confidence import Confidence, Doubt
from studio.web.predict.models import open_model
from studio.web.text import percent, plain


def headline(label: str, doubt: Doubt | None) -> str:
    """Return Markdown for what is said of an image."""
    if doubt is None:
        return f"### {plain(label)}"
    return "### " + _("Not sure: perhaps {label}").format(label=plain(label))


def reason(doubt: Doubt | None, sureness: Confidence) -> str:
    """Return why an answer is not sure; nothing where it is."""
    if doubt == "strange":
        return _("It is like nothing in the training images.")
    if doubt == "unlikely":
        return _("No class reaches the {least} that an answer takes.").format(
            least=percent(sureness.least_probability)
        )
    return ""


def draw_costs(models: Sequence[tuple[str, Path]]) -> None:
    """Draw when each model says that it is not sure, and what that costs. models: as they stand above."""
    for place, (_title, run_dir) in zip(st.columns(2), models, strict=False):
        with place:
            _draw_costs(open_model(run_dir).sureness or Confidence())


def _draw_costs(sureness: Confidence) -> None:
    costs = sureness.costs
    if costs is None:
        st.caption(
            _(
                "Nothing could be measured of how sure this model may be: it had no validation images. "
                "Below {least} it says that it is not sure."
            ).format(least=percent(sureness.least_probability))
        )
        return
    with st.popover(
        _("Not sure below {least}").format(least=percent(sureness.least_probability)),
        icon=":material/contact_support:",
        type="tertiary",
    ):
        held = _(
            "Held back: {right} of {all_right} right answers and {wrong} of {all_wrong} wrong ones."
        ).format(
            right=costs.both.right,
            all_right=costs.right,
            wrong=costs.both.wrong,
            all_wrong=costs.wrong,
        )
        st.markdown(
            counted(
                "Measured on {count} validation image.",
                "Measured on {count} validation images.",
                costs.images,
            )
            + " "
            + held
        )
        st.markdown(
            "| | {at} | {right} | {wrong} |\n| :-- | --: | --: | --: |\n{rows}".format(
                at=_("threshold"),
                right=_("right answers held back"),
                wrong=_("wrong answers held back"),
                rows="\n".join(
                    f"| {name} | {at} | {withheld.right} | {withheld.wrong} |"
                    for name, at, withheld in (
                        (_("too unlikely"), percent(sureness.least_probability), costs.unlikely),
                        (_("like nothing in training"), _strangeness(sureness), costs.strange),
                        (_("together"), "", costs.both),
                    )
                ),
            )
        )
        before, after = costs.calibration_error
        st.caption(
            _(
                "Right among the answers given: {after} (all answers: {before}). Probabilities are "
                "calibrated with temperature {temperature}: calibration error {error_before} before, "
                "{error_after} after."
            ).format(
                after=percent(costs.accuracy),
                before=percent(costs.right / costs.images),
                temperature=f"{sureness.temperature:.2f}",
                error_before=percent(before),
                error_after=percent(after),
            )
        )


def _strangeness(sureness: Confidence) -> str:
    return "—" if sureness.most_strangeness is None else f"{sureness.most_strangeness:.2f}"
