"""A project's own home: what it is made of, what wants a look, and the ways to its rooms."""

from collections.abc import Callable, Mapping

import altair as alt
import streamlit as st

from studio.curate import overview
from studio.curate.overview import Overview, Stamp
from studio.datasets.projects import Project
from studio.i18n import _, counted
from studio.images.provenance import VISITOR
from studio.retrain.runs import run_records
from studio.web.layout import go, heading, page_link
from studio.web.state import database
from studio.web.text import images, moment, percent, plain, way

_BAR = "#0b8a60"
_QUIET = {False: "#5f6963", True: "#a3ada7"}
"""Of numbers beside bars, by whether the page is dark."""


def bars(counts: Mapping[str, int], *, dark: bool, shares: bool = False) -> alt.LayerChart:
    """Draw counts of images as horizontal bars with their numbers, in their order.

    dark: whether it stands on a dark page. shares: write each one's share of them all beside it.
    """
    total = sum(counts.values())
    rows = [
        {
            "name": name,
            "images": count,
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
        tooltip=[alt.Tooltip("name:N", title=_("name")), alt.Tooltip("number:N", title=_("images"))],
    )
    drawn = base.mark_bar(color=_BAR, cornerRadiusEnd=3, height=16)
    numbers = base.mark_text(align="left", dx=6, fontSize=13, color=_QUIET[dark]).encode(text="number:N")
    return (drawn + numbers).properties(
        height=28 * len(counts), padding={"left": 0, "right": 0, "top": 4, "bottom": 4}
    )


_MOST_BARS = 24
_MOST_LICENCES = 9
_KEPT_S = 60
"""How long an overview is kept at most: groups of copies change without anything that tells of it."""
_WAITING: dict[str, Callable[[int], str]] = {
    "suggestion": lambda n: counted("{count} suggested label", "{count} suggested labels", n),
    "doubtful": lambda n: counted("{count} doubtful label", "{count} doubtful labels", n),
    "blurred": lambda n: counted("{count} blurred image", "{count} blurred images", n),
    "dark": lambda n: counted("{count} dark image", "{count} dark images", n),
    "blank": lambda n: counted("{count} empty image", "{count} empty images", n),
    "small": lambda n: counted("{count} small image", "{count} small images", n),
    "shape": lambda n: counted("{count} very long or tall image", "{count} very long or tall images", n),
    "far": lambda n: counted("{count} image unlike all others", "{count} images unlike all others", n),
}
"""What is said of so many open findings of a kind."""


@st.cache_data(ttl=_KEPT_S, max_entries=64, show_spinner=False)
def _overview(project_id: int, stamp: Stamp) -> Overview:
    """Look over a project, unless its overview of that stamp is still known."""
    with database().read() as session:
        return overview.overview(session, project_id)


def draw(project: Project) -> None:
    """Draw the home of a project."""
    with database().read() as session:
        stamp = overview.stamp(session, project.id)
        accuracy = run_records.newest_accuracy(session, project.id)
    found = _overview(project.id, stamp)

    with st.container(key="project-home"):
        # Not a link: one to the page that is open leaves the project in the address.
        if st.button(_("All projects"), icon=":material/arrow_back:", type="tertiary"):
            st.query_params.clear()
            st.rerun()
        heading(plain(project.name), _("Begun {moment}.").format(moment=moment(project.created_at)))
        if found.counts.total:
            _draw(found, accuracy, project.name)
            return
        st.info(_("There are no images in this project yet."), icon=":material/photo_library:")
        if st.button(_("Collect images"), type="primary"):
            go("collect", project.name)


def _draw(found: Overview, accuracy: float | None, name: str) -> None:
    _figures(found, accuracy)
    _ways(name)
    _to_look_at(found, name)
    left, right = st.columns(2, gap="large")
    with left:
        _classes(found)
        _splits(found)
    with right:
        _sources(found)
        _licences(found)


def _figures(found: Overview, accuracy: float | None) -> None:
    counts = found.counts
    figures = {
        _("Images"): f"{counts.total:,}",
        _("Labelled"): f"{counts.labelled:,}",
        _("Unlabelled"): f"{counts.unlabelled:,}",
        _("Rejected"): f"{counts.rejected:,}",
        _("Test accuracy"): percent(accuracy),
    }
    with st.container(horizontal=True, key="figures"):
        for name, figure in figures.items():
            st.metric(name, figure, border=True)


def _ways(name: str) -> None:
    with st.container(horizontal=True, gap="medium", key="rooms"):
        page_link("collect", _("Bring in images"), name, icon=":material/add_photo_alternate:")
        page_link("curate", _("Look through and label"), name, icon=":material/grid_view:")
        page_link("retrain", _("Train a model"), name, icon=":material/model_training:")
        page_link("predict", _("Try the model"), name, icon=":material/center_focus_strong:")
        page_link("share", _("Export and share it"), name, icon=":material/ios_share:")


def _to_look_at(found: Overview, name: str) -> None:
    """Draw a link for everything that waits for a person's eye, if there is any."""
    links = [
        (said(number), {"found": kind, "order": kind if kind in ("suggestion", "doubtful") else "newest"})
        for kind, said in _WAITING.items()
        if (number := found.findings.get(kind, 0))
    ]
    copies = found.copies.images_beyond_keepers
    if copies:
        text = counted("{count} near copy", "{count} near copies", copies)
        links.append((text, {"copies": "1", "order": "group"}))
    if found.marked_wrong:
        text = counted("{count} answer marked wrong", "{count} answers marked wrong", found.marked_wrong)
        links.append((text, {"source": VISITOR, "state": "unlabelled", "order": "newest"}))
    if links:
        st.subheader(_("Worth a look"), anchor=False)
        with st.container(horizontal=True, gap="medium", key="worth-a-look"):
            for text, asking in links:
                page_link("curate", text, name, icon=":material/visibility:", asking=asking)


def _chart(title: str, counts: Mapping[str, int], about: str, *, shares: bool = False) -> None:
    st.subheader(title, anchor=False)
    if any(counts.values()):
        st.altair_chart(bars(counts, dark=st.context.theme.type == "dark", shares=shares), alt=title)
    st.caption(about)


def _classes(found: Overview) -> None:
    by_class = found.counts.by_class
    about = _("Labelled images. A class with far fewer than others is learnt less well.")
    if len(by_class) > _MOST_BARS:
        half = _MOST_BARS // 2
        largest = sorted(by_class.items(), key=lambda each: -each[1])
        by_class = dict([*largest[:half], *largest[-half:]])
        about = _("The {half} largest and the {half} smallest of {count} classes.").format(
            half=half, count=f"{len(largest):,}"
        )
    _chart(_("Classes"), by_class, about if by_class else _("No classes yet."))


def _sources(found: Overview) -> None:
    named = {way(kind): number for kind, number in found.by_source.items()}
    _chart(
        _("Where they came from"),
        named,
        _("All images that are not rejected. One that was found in two ways counts in both."),
    )


def _licences(found: Overview) -> None:
    stated = list(found.by_licence.items())
    others = {
        _("other licences"): sum(number for _name, number in stated[_MOST_LICENCES:]),
        _("own work"): found.own_work,
        _("unknown"): found.licence_unknown,
    }
    named = dict(stated[:_MOST_LICENCES]) | {name: number for name, number in others.items() if number}
    _chart(
        _("Licences"),
        named,
        _("Each image once, by the first licence that is stated. Unknown: nobody has said."),
        shares=True,
    )


def _splits(found: Overview) -> None:
    names = {"training": _("training"), "validation": _("validation"), "testing": _("testing")}
    _chart(
        _("How they are split"),
        {names[split]: number for split, number in found.by_split.items()},
        _("{images}. Copies of an image always fall on the same side.").format(
            images=images(found.counts.labelled)
        ),
        shares=True,
    )
