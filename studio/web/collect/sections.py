"""Asking for a crawl."""

import streamlit as st

from studio.collect import tasks
from studio.collect.web.crawl import DEEPEST, Plan
from studio.collect.web.search import FoundHit, hits
from studio.collect.web.service import SERVICES
from studio.errors import StudioError
from studio.i18n import _
from studio.images.provenance import CODES, name_of_code
from studio.jobs import queue
from studio.web.components.image_grid import hit_grid
from studio.web.jobs_panel import ended_badly, watch
from studio.web.state import database, now
from studio.web.text import images, plain


def crawl_section(project_id: int, class_name: str | None) -> None:
    """Draw the form, and queue the crawl that it asks for."""
    with st.form("crawl", border=False):
        addresses = st.text_area(
            _("Addresses of pages, one a line"),
            placeholder="https://…/gallery",
            height=100,
        )
        depth = st.segmented_control(
            _("Pages to read"),
            range(DEEPEST + 1),
            default=1,
            required=True,
            format_func=_depth,
            width="stretch",
        )
        with st.expander(_("Limits and other sites")):
            first, second = st.columns(2)
            max_images = first.number_input(_("Images at most"), 1, 100_000, 500)
            max_pages = second.number_input(_("Pages at most"), 1, 100_000, 200)
            min_side_px = first.number_input(_("Shorter side at least, in pixels"), 0, 10_000, 100)
            max_minutes = second.number_input(_("Minutes at most"), 1, 24 * 60, 60)
            max_megabytes = first.number_input(_("Megabytes at most"), 1, 1_000_000, 2_000)
            sites = second.text_input(
                _("Other hosts whose pages are read"),
                placeholder="blog.example.org, …",
                help=_("Links are followed on the hosts of your addresses and on these. "
                       "Images are fetched wherever the pages show them from."),
            )  # fmt: skip
        st.caption(
            _(
                "Sites are asked gently: robots.txt, noai and no-index rules are kept, and each image "
                "keeps its page, author and licence. Look at the licence before you share what comes of it."
            )
        )
        if not st.form_submit_button(_("Crawl"), type="primary", icon=":material/travel_explore:"):
            return
    plan = Plan(
        tuple(addresses.split()),
        class_name,
        depth,
        tuple(sites.replace(",", " ").split()),
        int(max_pages),
        int(max_images),
        int(max_megabytes) * 1_000_000,
        float(max_minutes),
        int(min_side_px),
    )
    try:
        tasks.start_crawl(database(), project_id, plan, now())
    except StudioError as error:
        st.error(plain(str(error)), icon=":material/error:")
    else:
        st.rerun()


def _depth(depth: int) -> str:
    return {
        0: _("these pages"),
        1: _("and what they link to"),
        2: _("two links away"),
        3: _("three links away"),
    }[depth]


_LARGEST_MB = 20


def list_section(project_id: int, class_name: str | None) -> None:
    """Draw the form, and queue the fetching that it asks for."""
    turn = st.session_state.setdefault("list_turn", 0)
    with st.form("list", border=False):
        pasted = st.text_area(
            _("Addresses of images, one a line"),
            placeholder="https://…/rose.jpg",
            height=140,
            key=f"list-{turn}",
        )
        file = st.file_uploader(
            _("or a file: .txt with an address a line, or .csv with columns of addresses and classes"),
            type=["txt", "csv", "tsv"],
            max_upload_size=_LARGEST_MB,
            key=f"list-file-{turn}",
        )
        min_side_px = st.number_input(_("Shorter side at least, in pixels"), 0, 10_000, 0)
        if not st.form_submit_button(_("Fetch"), type="primary", icon=":material/download:"):
            return
    try:
        data = file.getvalue() if file else pasted.encode()
        tasks.fetch_list(database(), project_id, data, class_name, int(min_side_px), now())
    except StudioError as error:
        st.error(plain(str(error)), icon=":material/error:")
    else:
        st.session_state["list_turn"] += 1
        st.rerun()


def search_section(project_id: int, class_name: str | None) -> None:
    """Draw the form and what the newest search has found, and queue what they ask for."""
    with st.form("search", border=False):
        words = st.text_area(
            _("What to look for; several phrases one a line"), placeholder=_("red rose\nrose bud"), height=80
        )
        service = st.segmented_control(
            _("Library"),
            list(SERVICES),
            default=next(iter(SERVICES)),
            required=True,
            format_func=lambda name: SERVICES[name],
        )
        licences = st.multiselect(
            _("Licences"),
            CODES,
            format_func=name_of_code,
            placeholder=_("all; choose what you can keep to"),
        )
        first, second = st.columns(2)
        count = first.number_input(_("Images to look at"), 1, 500, 60)
        min_side_px = second.number_input(
            _("Shorter side at least, in pixels"), 0, 10_000, 100, key="hit-side"
        )
        if st.form_submit_button(_("Search"), type="primary", icon=":material/search:"):
            phrases = [phrase for line in words.splitlines() if (phrase := " ".join(line.split()))]
            try:
                tasks.start_search(
                    database(),
                    project_id,
                    service,
                    phrases,
                    count=int(count),
                    licences=licences,
                    min_side_px=int(min_side_px),
                    now=now(),
                )
                st.rerun()
            except StudioError as error:
                st.error(plain(str(error)), icon=":material/error:")
    job = watch(project_id, {"search"}, draw=_so_far)
    if job is not None and not job.live:
        ended_badly(job)
        if job.result is not None and job.result["cut_short"]:
            st.warning(plain(job.result["cut_short"]), icon=":material/hourglass_disabled:")
        with database().read() as session:
            found = hits(session, job.id)
        if found:
            _pick(job, found, project_id, class_name)
        elif job.state == "done":
            st.info(_("Nothing was found. Try other words, or more licences."), icon=":material/search_off:")


def _so_far(job: queue.Job) -> None:
    with database().read() as session:
        found = hits(session, job.id)
    hit_grid(found, key=f"hits-so-far-{job.id}")


def _pick(job: queue.Job, found: tuple[FoundHit, ...], project_id: int, class_name: str | None) -> None:
    bar = st.container(horizontal=True, vertical_alignment="center")
    picked = hit_grid(found, key=f"hits-{job.id}")
    keep_picked = bar.button(
        _("Keep {images}").format(images=images(len(picked))) if picked else _("Keep what is selected"),
        type="primary",
        disabled=not picked,
        icon=":material/add_photo_alternate:",
    )
    keep_all = bar.button(_("Keep all {count}").format(count=len(found)))
    said = _("into {name}").format(name=plain(class_name)) if class_name else _("without a class")
    bar.caption(said)
    if keep_picked or keep_all:
        chosen = picked if keep_picked else [hit.id for hit in found]
        tasks.fetch_hits(database(), project_id, job.id, chosen, class_name, now())
        st.rerun()
