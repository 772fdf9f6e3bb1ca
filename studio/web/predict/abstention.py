"""Headlines of predictions, and the "not sure" threshold of each model with what it costs."""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from studio.i18n import _, counted
from studio.retrain.confidence import AbstentionReason, Confidence
from studio.web.predict.models import open_model
from studio.web.text import escape_markdown, format_percent


def prediction_headline(label: str, abstention: AbstentionReason | None) -> str:
    """Return the headline of a prediction as Markdown."""
    if abstention is None:
        return f"### {escape_markdown(label)}"
    return "### " + _("Not sure: perhaps {label}").format(label=escape_markdown(label))


def abstention_text(abstention: AbstentionReason | None, confidence: Confidence) -> str:
    """Return why a prediction is not sure; empty where it is."""
    if abstention == "out_of_distribution":
        return _("Unlike the training images.")
    if abstention == "low_confidence":
        return _("No class reaches the confidence threshold of {threshold}.").format(
            threshold=format_percent(confidence.min_probability)
        )
    return ""


def draw_abstention(models: Sequence[tuple[str, Path]]) -> None:
    """Draw the "not sure" threshold of one model or two. models: title and run folder of each."""
    for column, (_title, run_dir) in zip(st.columns(2), models, strict=False):
        with column:
            _draw_threshold(open_model(run_dir).confidence or Confidence())


def _draw_threshold(confidence: Confidence) -> None:
    costs = confidence.costs
    threshold = format_percent(confidence.min_probability)
    if costs is None:
        st.caption(
            _(
                "Not sure below {threshold}. This is the default threshold: the model has no validation "
                "images to measure one on."
            ).format(threshold=threshold)
        )
        return
    with st.popover(
        _("Not sure below {threshold}").format(threshold=threshold),
        icon=":material/contact_support:",
        type="tertiary",
    ):
        measured = counted(
            "Measured on {count} validation image.", "Measured on {count} validation images.", costs.images
        )
        withheld = _(
            "Not sure about {correct} of {all_correct} correct and {wrong} of {all_wrong} wrong predictions."
        ).format(
            correct=costs.both.correct,
            all_correct=costs.correct,
            wrong=costs.both.wrong,
            all_wrong=costs.wrong,
        )
        st.markdown(f"{measured} {withheld}")
        ood_threshold = "—" if confidence.max_ood_score is None else f"{confidence.max_ood_score:.2f}"
        rows = (
            (_("low confidence"), threshold, costs.low_confidence),
            (_("out of distribution"), ood_threshold, costs.out_of_distribution),
            (_("both"), "", costs.both),
        )
        st.markdown(
            "| | {threshold} | {correct} | {wrong} |\n| :-- | --: | --: | --: |\n{rows}".format(
                threshold=_("threshold"),
                correct=_("correct, not sure"),
                wrong=_("wrong, not sure"),
                rows="\n".join(
                    f"| {name} | {value} | {counts.correct} | {counts.wrong} |"
                    for name, value, counts in rows
                ),
            )
        )
        error_before, error_after = costs.calibration_error
        st.caption(
            _(
                "Accuracy where the model is sure: {sure} (of all predictions: {all}). Temperature scaling "
                "with T = {temperature} changed the calibration error from {before} to {after}."
            ).format(
                sure=format_percent(costs.accuracy),
                all=format_percent(costs.correct / costs.images),
                temperature=f"{confidence.temperature:.2f}",
                before=format_percent(error_before),
                after=format_percent(error_after),
            )
        )
