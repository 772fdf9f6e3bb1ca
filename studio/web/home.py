"""The Home page of one project: counts, open issues, charts, links to its pages, renaming."""

from collections.abc import Callable, Mapping

import altair as alt
import streamlit as st

from studio.curate import overview
from studio.curate.overview import Overview, OverviewVersion
from studio.datasets.names import MAX_NAME_CHARACTERS
from studio.datasets.projects import Project, rename_project
from studio.errors import ProjectError
from studio.i18n import _, counted
from studio.images.provenance import VISITOR
from studio.retrain.runs import run_records
from studio.web.layout import open_page, page_heading, page_link
from studio.web.state import database, open_project
from studio.web.text import escape_markdown, format_datetime, format_percent, image_count, provenance_title

_BAR_COLOUR = "#0b8a60"
_TEXT_COLOUR = {False: "#5f6963", True: "#a3ada7"}
"""Of the numbers beside the bars, by whether the theme is dark."""
_MAX_BARS = 24
_MAX_LICENCES = 9
_CACHE_S = 60
"""Longest time that an overview is cached: its version does not change with the duplicate groups."""
_ISSUE_TEXTS: dict[str, Callable[[int], str]] = {
    "suggestion": lambda n: counted("{count} suggested label", "{count} suggested labels", n),
    "doubtful": lambda n: counted("{count} label issue", "{count} label issues", n),
    "blurred": lambda n: counted("{count} blurred image", "{count} blurred images", n),
    "dark": lambda n: counted("{count} dark image", "{count} dark images", n),
    "blank": lambda n: counted("{count} blank image", "{count} blank images", n),
    "small": lambda n: counted("{count} small image", "{count} small images", n),
    "shape": lambda n: counted(
        "{count} image with an unusual aspect ratio", "{count} images with an unusual aspect ratio", n
    ),
    "far": lambda n: counted("{count} outlier", "{count} outliers", n),
}
"""The text of a number of open findings, by their kind."""


def draw_project_home(project: Project) -> None:
    """Draw the Home page of a project."""
    with database().read() as session:
        version = overview.overview_version(session, project.id)
        accuracy = run_records.newest_accuracy(session, project.id)
    found = _cached_overview(project.id, version)

    with st.container(key="project-home"):
        with st.container(horizontal=True, horizontal_alignment="distribute"):
            # Not a link: a link to the open page leaves the project in the URL.
            if st.button(_("All projects"), icon=":material/arrow_back:", type="tertiary"):
                st.query_params.clear()
                st.rerun()
            _draw_rename_form(project)
        created = _("Created {time}.").format(time=format_datetime(project.created_at))
        page_heading(escape_markdown(project.name), created)
        if found.counts.total:
            _draw_overview(found, accuracy, project.name)
            return
        st.info(_("There are no images in this project yet."), icon=":material/photo_library:")
        if st.button(_("Collect images"), type="primary"):
            open_page("collect", project.name)


@st.cache_data(ttl=_CACHE_S, max_entries=64, show_spinner=False)
def _cached_overview(project_id: int, version: OverviewVersion) -> Overview:
    """Return a project's overview; computed once for each version."""
    with database().read() as session:
        return overview.overview(session, project_id)


def _draw_rename_form(project: Project) -> None:
    """Draw a popover with a form that renames the project, and show its error."""
    # The name is in the keys, so that the popover closes after a change.
    key = f"rename-{project.id}-{project.name}"
    with (
        st.popover(_("Rename"), icon=":material/edit:", type="tertiary", key=f"{key}-popover"),
        st.form(key, border=False),
    ):
        name = st.text_input(
            _("New project name"), project.name, max_chars=MAX_NAME_CHARACTERS, key=f"{key}-name"
        )
        if st.form_submit_button(_("Rename project"), type="primary"):
            try:
                with database().write() as session:
                    renamed = rename_project(session, project.id, name)
            except ProjectError as error:
                st.error(escape_markdown(str(error)), icon=":material/error:")
            else:
                open_project(renamed.name, "home")


def _draw_overview(found: Overview, accuracy: float | None, name: str) -> None:
    _draw_counts(found, accuracy)
    _draw_page_links(name)
    _draw_issue_links(found, name)
    left, right = st.columns(2, gap="large")
    with left:
        _draw_classes(found)
        _draw_splits(found)
    with right:
        _draw_sources(found)
        _draw_licences(found)


def _draw_counts(found: Overview, accuracy: float | None) -> None:
    counts = found.counts
    metrics = {
        _("Images"): f"{counts.total:,}",
        _("Labelled"): f"{counts.labelled:,}",
        _("Unlabelled"): f"{counts.unlabelled:,}",
        _("Rejected"): f"{counts.rejected:,}",
        _("Test accuracy"): format_percent(accuracy),
    }
    with st.container(horizontal=True, key="counts"):
        for title, value in metrics.items():
            st.metric(title, value, border=True)


def _draw_page_links(name: str) -> None:
    with st.container(horizontal=True, gap="medium", key="page-links"):
        page_link("collect", _("Add images"), name, icon=":material/add_photo_alternate:")
        page_link("curate", _("Label images"), name, icon=":material/grid_view:")
        page_link("retrain", _("Train a model"), name, icon=":material/model_training:")
        page_link("predict", _("Try the model"), name, icon=":material/center_focus_strong:")
        page_link("share", _("Export or share the model"), name, icon=":material/ios_share:")


def _draw_issue_links(found: Overview, name: str) -> None:
    """Draw a link to the images of each kind of open finding, if there are any."""
    links = [
        (text(number), {"found": kind, "order": kind if kind in ("suggestion", "doubtful") else "newest"})
        for kind, text in _ISSUE_TEXTS.items()
        if (number := found.findings.get(kind, 0))
    ]
    near_duplicates = found.copies.images_beyond_keepers
    if near_duplicates:
        text = counted("{count} near-duplicate", "{count} near-duplicates", near_duplicates)
        links.append((text, {"copies": "1", "order": "group"}))
    if found.marked_wrong:
        text = counted(
            "{count} prediction reported as wrong",
            "{count} predictions reported as wrong",
            found.marked_wrong,
        )
        links.append((text, {"source": VISITOR, "state": "unlabelled", "order": "newest"}))
    if links:
        st.subheader(_("Needs attention"), anchor=False)
        with st.container(horizontal=True, gap="medium", key="issue-links"):
            for text, query in links:
                page_link("curate", text, name, icon=":material/visibility:", query=query)


def _draw_classes(found: Overview) -> None:
    by_class = found.counts.by_class
    caption = _("Labelled images. Classes with few images are recognised less reliably.")
    if len(by_class) > _MAX_BARS:
        half = _MAX_BARS // 2
        largest = sorted(by_class.items(), key=lambda item: -item[1])
        by_class = dict([*largest[:half], *largest[-half:]])
        caption = _("The {half} largest and the {half} smallest of {count} classes.").format(
            half=half, count=f"{len(largest):,}"
        )
    _draw_chart(_("Classes"), by_class, caption if by_class else _("No classes yet."))


def _draw_splits(found: Overview) -> None:
    names = {"training": _("training"), "validation": _("validation"), "testing": _("test")}
    _draw_chart(
        _("Splits"),
        {names[split]: number for split, number in found.by_split.items()},
        _("{images}. Duplicates of an image are always in the same split.").format(
            images=image_count(found.counts.labelled)
        ),
        shares=True,
    )


def _draw_sources(found: Overview) -> None:
    counts = {provenance_title(kind): number for kind, number in found.by_source.items()}
    _draw_chart(
        _("Sources"),
        counts,
        _("All images that are not rejected. An image from two sources counts for both."),
    )


def _draw_licences(found: Overview) -> None:
    stated = list(found.by_licence.items())
    others = {
        _("other licences"): sum(number for _name, number in stated[_MAX_LICENCES:]),
        _("own work"): found.own_work,
        _("unknown"): found.licence_unknown,
    }
    counts = dict(stated[:_MAX_LICENCES]) | {name: number for name, number in others.items() if number}
    _draw_chart(
        _("Licences"),
        counts,
        _("Each image once, by the first licence stated. Unknown: no licence was found."),
        shares=True,
    )


def _draw_chart(title: str, counts: Mapping[str, int], caption: str, *, shares: bool = False) -> None:
    st.subheader(title, anchor=False)
    if any(counts.values()):
        st.altair_chart(bar_chart(counts, dark=st.context.theme.type == "dark", shares=shares), alt=title)
    st.caption(caption)


def bar_chart(counts: Mapping[str, int], *, dark: bool, shares: bool = False) -> alt.LayerChart:
    """Return a horizontal bar chart of image counts, in their order, with a number beside each bar.

    dark: whether the theme is dark. shares: also write each count's share of the total.
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
    # Leaves room for the number behind the longest bar.
    scale = alt.Scale(domain=[0, max(1, *counts.values()) * (1.45 if shares else 1.25)])
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y(
            "name:N",
            sort=list(counts),
            title=None,
            # A fixed width, so that the bars of charts below each other begin at the same place.
            axis=alt.Axis(
                labelLimit=140,
                labelPadding=8,
                labelFontSize=13,
                labelColor=_TEXT_COLOUR[dark],
                minExtent=148,
                maxExtent=148,
                ticks=False,
                domain=False,
            ),
        ),
        x=alt.X("images:Q", title=None, axis=None, scale=scale),
        tooltip=[alt.Tooltip("name:N", title=_("name")), alt.Tooltip("number:N", title=_("images"))],
    )
    marks = base.mark_bar(color=_BAR_COLOUR, cornerRadiusEnd=3, height=16)
    numbers = base.mark_text(align="left", dx=6, fontSize=13, color=_TEXT_COLOUR[dark]).encode(
        text="number:N"
    )
    return (marks + numbers).properties(
        height=28 * len(counts), padding={"left": 0, "right": 0, "top": 4, "bottom": 4}
    )
