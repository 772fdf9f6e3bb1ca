"""Forms of the Collect page: crawl, list of URLs, image search with its hits."""

import streamlit as st

from studio.collect import tasks
from studio.collect.web.crawl import MAX_DEPTH, CrawlPlan
from studio.collect.web.search import SearchHit, search_hits
from studio.collect.web.search_registry import SEARCH_SERVICES, SearchRequest
from studio.errors import StudioError
from studio.i18n import _
from studio.images.provenance import LICENCE_CODES, licence_code_name
from studio.jobs import queue
from studio.web.components.image_grid import hit_grid
from studio.web.jobs_panel import draw_failure, watch_jobs
from studio.web.state import database, now
from studio.web.text import escape_markdown, image_count


def draw_crawl_form(project_id: int, class_name: str | None) -> None:
    """Draw the form of a crawl, and queue the crawl when it is submitted."""
    with st.form("crawl", border=False):
        urls = st.text_area(
            _("URLs of pages, one per line"),
            placeholder="https://…/gallery",
            height=100,
        )
        depth = st.segmented_control(
            _("Crawl depth"),
            range(MAX_DEPTH + 1),
            default=1,
            required=True,
            format_func=_depth_title,
            width="stretch",
        )
        with st.expander(_("Limits and other hosts")):
            first, second = st.columns(2)
            max_images = first.number_input(_("Maximum images"), 1, 100_000, 500)
            max_pages = second.number_input(_("Maximum pages"), 1, 100_000, 200)
            min_side_px = first.number_input(_("Minimum shorter side (px)"), 0, 10_000, 100)
            max_minutes = second.number_input(_("Maximum minutes"), 1, 24 * 60, 60)
            max_megabytes = first.number_input(_("Maximum download (MB)"), 1, 1_000_000, 2_000)
            hosts = second.text_input(
                _("Other hosts to crawl"),
                placeholder="blog.example.org, …",
                help=_("Links are followed on the hosts of the URLs above and on these. "
                       "Images are downloaded from any host."),
            )  # fmt: skip
        st.caption(
            _(
                "The crawler honours robots.txt, noai and noindex rules and limits requests per host. Each "
                "image keeps its page, author and licence; check the licences before you share images or a "
                "model."
            )
        )
        if not st.form_submit_button(_("Crawl"), type="primary", icon=":material/travel_explore:"):
            return
    plan = CrawlPlan(
        tuple(urls.split()),
        class_name,
        depth,
        tuple(hosts.replace(",", " ").split()),
        int(max_pages),
        int(max_images),
        int(max_megabytes) * 1_000_000,
        float(max_minutes),
        int(min_side_px),
    )
    try:
        tasks.start_crawl(database(), project_id, plan, now())
    except StudioError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
    else:
        st.rerun()


def _depth_title(depth: int) -> str:
    return {
        0: _("Only these pages"),
        1: _("And linked pages"),
        2: _("2 links deep"),
        3: _("3 links deep"),
    }[depth]


_MAX_LIST_MB = 20


def draw_url_list_form(project_id: int, class_name: str | None) -> None:
    """Draw the form of a list of image URLs, and queue their download when it is submitted."""
    # A new key after each submission empties the form.
    version = st.session_state.setdefault("url-list-version", 0)
    with st.form("list", border=False):
        pasted = st.text_area(
            _("URLs of images, one per line"),
            placeholder="https://…/rose.jpg",
            height=140,
            key=f"list-{version}",
        )
        file = st.file_uploader(
            _("or a file: .txt with one URL per line, or .csv with columns of URLs and classes"),
            type=["txt", "csv", "tsv"],
            max_upload_size=_MAX_LIST_MB,
            key=f"list-file-{version}",
        )
        min_side_px = st.number_input(_("Minimum shorter side (px)"), 0, 10_000, 0)
        if not st.form_submit_button(_("Download"), type="primary", icon=":material/download:"):
            return
    try:
        data = file.getvalue() if file else pasted.encode()
        tasks.start_fetch_list(database(), project_id, data, class_name, int(min_side_px), now())
    except StudioError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
    else:
        st.session_state["url-list-version"] += 1
        st.rerun()


def draw_search(project_id: int, class_name: str | None) -> None:
    """Draw the search form and the hits of the newest search; queue searches and downloads of hits."""
    with st.form("search", border=False):
        phrases = st.text_area(
            _("Search phrases, one per line"), placeholder=_("red rose\nrose bud"), height=80
        )
        service = st.segmented_control(
            _("Search service"),
            list(SEARCH_SERVICES),
            default=next(iter(SEARCH_SERVICES)),
            required=True,
            format_func=lambda name: SEARCH_SERVICES[name].title,
        )
        licences = st.multiselect(
            _("Licences"),
            LICENCE_CODES,
            format_func=licence_code_name,
            placeholder=_("All licences; choose those you can comply with"),
        )
        first, second = st.columns(2)
        count = first.number_input(_("Number of results"), 1, 500, 60)
        min_side_px = second.number_input(_("Minimum shorter side (px)"), 0, 10_000, 100, key="hit-side")
        if st.form_submit_button(_("Search"), type="primary", icon=":material/search:"):
            request = SearchRequest(
                service, tuple(phrases.splitlines()), int(count), tuple(licences), int(min_side_px)
            )
            try:
                tasks.start_search(database(), project_id, request, now())
                st.rerun()
            except StudioError as error:
                st.error(escape_markdown(str(error)), icon=":material/error:")
    job = watch_jobs(project_id, {"search"}, draw=_draw_hits)
    if job is not None and not job.live:
        draw_failure(job)
        if job.result is not None and job.result["cut_short"]:
            st.warning(escape_markdown(job.result["cut_short"]), icon=":material/hourglass_disabled:")
        with database().read() as session:
            hits = search_hits(session, job.id)
        if hits:
            _draw_hit_picker(job, hits, project_id, class_name)
        elif job.state == "done":
            st.info(_("No images found. Try other phrases or more licences."), icon=":material/search_off:")


def _draw_hits(job: queue.Job) -> None:
    with database().read() as session:
        hits = search_hits(session, job.id)
    hit_grid(hits, key=f"hits-live-{job.id}")


def _draw_hit_picker(
    job: queue.Job, hits: tuple[SearchHit, ...], project_id: int, class_name: str | None
) -> None:
    bar = st.container(horizontal=True, vertical_alignment="center")
    picked = hit_grid(hits, key=f"hits-{job.id}")
    add_picked = bar.button(
        _("Add {images}").format(images=image_count(len(picked))) if picked else _("Add selected images"),
        type="primary",
        disabled=not picked,
        icon=":material/add_photo_alternate:",
    )
    add_all = bar.button(_("Add all {count}").format(count=len(hits)))
    target = (
        _("to class {name}").format(name=escape_markdown(class_name)) if class_name else _("without a class")
    )
    bar.caption(target)
    if add_picked or add_all:
        chosen = picked if add_picked else [hit.id for hit in hits]
        tasks.start_fetch_hits(database(), project_id, job.id, chosen, class_name, now())
        st.rerun()
