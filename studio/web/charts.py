"""The pictures of numbers: curves while training, the confusion matrix, class balance."""

from collections.abc import Mapping, Sequence

import altair as alt

from studio.language import _
from studio.retrain.curve import CurvePoint
from studio.retrain.evaluation import Evaluation

_TRAINING, _VALIDATION = "#8a8f98", "#0b8a60"
_QUIET = {False: "#5f6963", True: "#a3ada7"}
"""Of numbers beside bars, by whether the page is dark."""
_MOST_POINTS = 400
"""More points of a curve than a screen can show only slow the browser."""


def curves(points: Sequence[CurvePoint], measure: str, title: str) -> alt.Chart:
    """Draw one measure (`accuracy` or `cross_entropy`) of both splits over the steps."""
    names = {"training": _("training"), "validation": _("validation")}
    rows = []
    for split, name in names.items():
        mine = [point for point in points if point.split == split]
        every = len(mine) // _MOST_POINTS + 1
        # The last point is always kept: it is the one that people read.
        kept = mine[::-1][::every][::-1]
        rows += [{"step": p.step, "value": getattr(p, measure), "split": name} for p in kept]
    domain = list(names.values())
    split = alt.Color("split:N", scale=alt.Scale(domain=domain, range=[_TRAINING, _VALIDATION]), title=None)
    axis = alt.Axis(format="%") if measure == "accuracy" else alt.Axis()
    # Accuracy lives near its top: a scale from zero would press it into a line.
    scale = alt.Scale(zero=measure != "accuracy", nice=True)
    return (
        alt.Chart(alt.Data(values=rows), title=title)
        .mark_line()
        .encode(
            x=alt.X("step:Q", title=_("step")),
            y=alt.Y("value:Q", title=None, axis=axis, scale=scale),
            color=split,
            strokeDash=alt.StrokeDash(
                "split:N", scale=alt.Scale(domain=domain, range=[[3, 2], [1, 0]]), title=None
            ),
            tooltip=["split:N", "step:Q", alt.Tooltip("value:Q", format=".3f")],
        )
        .configure_legend(orient="bottom")
        .properties(height=320)
    )


def confusion(evaluation: Evaluation, *, dark: bool) -> alt.LayerChart:
    """Draw the confusion matrix: rows true, columns predicted, shaded by the share of the row.

    dark: whether it stands on a dark page.
    """
    rows = []
    for true, row in zip(evaluation.classes, evaluation.confusion, strict=True):
        for predicted, count in zip(evaluation.classes, row, strict=True):
            share = count / sum(row) if sum(row) else 0.0
            rows.append({"true": true, "predicted": predicted, "count": count, "share": share})
    order = list(evaluation.classes)
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X(
            "predicted:N",
            sort=order,
            title=_("predicted"),
            axis=alt.Axis(orient="top", labelAngle=-45, labelOverlap=False),
        ),
        y=alt.Y("true:N", sort=order, title=_("true")),
        tooltip=["true:N", "predicted:N", "count:Q", alt.Tooltip("share:Q", format=".0%")],
    )
    cells = base.mark_rect(cornerRadius=3).encode(
        color=alt.Color(
            "share:Q", scale=alt.Scale(domain=[0, 1], range=["#0b8a6011", "#0b8a60"]), legend=None
        )
    )
    numbers = base.mark_text(fontSize=13).encode(text="count:Q")
    on_strong = numbers.transform_filter("datum.share > 0.5").encode(color=alt.value("white"))
    ink = alt.value("#e8ebe6" if dark else "#1d2420")
    on_faint = numbers.transform_filter("datum.share <= 0.5 && datum.count > 0").encode(color=ink)
    return (cells + on_strong + on_faint).properties(height=max(200, 44 * len(order) + 80))


def bars(counts: Mapping[str, int], *, dark: bool, shares: bool = False) -> alt.LayerChart:
    """Draw counts of pictures as horizontal bars with their numbers, in their order.

    dark: whether it stands on a dark page. shares: write each one's share of them all beside it.
    """
    total = sum(counts.values())
    rows = [
        {
            "name": name,
            "pictures": count,
            "number": f"{count:,}" + (f" · {count / total:.0%}" if shares and total else ""),
        }
        for name, count in counts.items()
    ]
    # Room for the number behind the longest bar.
    longest = alt.Scale(domain=[0, max(1, *counts.values()) * (1.45 if shares else 1.25)])
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y(
            "name:N",
            sort=list(counts),
            title=None,
            # As wide for short names as for long ones, so that charts below each other begin at one line.
            axis=alt.Axis(
                labelLimit=140,
                labelPadding=8,
                labelFontSize=13,
                labelColor=_QUIET[dark],
                minExtent=148,
                maxExtent=148,
                ticks=False,
                domain=False,
            ),
        ),
        x=alt.X("pictures:Q", title=None, axis=None, scale=longest),
        tooltip=[alt.Tooltip("name:N", title=_("name")), alt.Tooltip("number:N", title=_("pictures"))],
    )
    drawn = base.mark_bar(color=_VALIDATION, cornerRadiusEnd=3, height=16)
    numbers = base.mark_text(align="left", dx=6, fontSize=13, color=_QUIET[dark]).encode(text="number:N")
    return (drawn + numbers).properties(
        height=28 * len(counts), padding={"left": 0, "right": 0, "top": 4, "bottom": 4}
    )
