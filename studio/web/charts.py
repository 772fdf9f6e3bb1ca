"""The pictures of numbers on a project's home: class balance, sources, licences."""

from collections.abc import Mapping

import altair as alt

from studio.language import _

_BAR = "#0b8a60"
_QUIET = {False: "#5f6963", True: "#a3ada7"}
"""Of numbers beside bars, by whether the page is dark."""


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
    drawn = base.mark_bar(color=_BAR, cornerRadiusEnd=3, height=16)
    numbers = base.mark_text(align="left", dx=6, fontSize=13, color=_QUIET[dark]).encode(text="number:N")
    return (drawn + numbers).properties(
        height=28 * len(counts), padding={"left": 0, "right": 0, "top": 4, "bottom": 4}
    )
