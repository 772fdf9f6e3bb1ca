"""Searching libraries of openly licensed pictures, and picking from what was found."""

import streamlit as st

from studio.collect.licences import CODES, name_of_code
from studio.collect.web.hits import FoundHit, hits
from studio.collect.web.query import SERVICES
from studio.errors import StudioError
from studio.jobs import queue, requests
from studio.language import _
from studio.web.components.hit_grid import hit_grid
from studio.web.jobs_panel import ended_badly, watch
from studio.web.state import database, now
from studio.web.words import pictures, plain


def draw(project_id: int, class_name: str | None) -> None:
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
        count = first.number_input(_("Pictures to look at"), 1, 500, 60)
        min_side_px = second.number_input(
            _("Shorter side at least, in pixels"), 0, 10_000, 100, key="hit-side"
        )
        if st.form_submit_button(_("Search"), type="primary", icon=":material/search:"):
            phrases = [phrase for line in words.splitlines() if (phrase := " ".join(line.split()))]
            try:
                requests.search(
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
        _("Keep {pictures}").format(pictures=pictures(len(picked))) if picked else _("Keep what is selected"),
        type="primary",
        disabled=not picked,
        icon=":material/add_photo_alternate:",
    )
    keep_all = bar.button(_("Keep all {count}").format(count=len(found)))
    said = _("into {name}").format(name=plain(class_name)) if class_name else _("without a class")
    bar.caption(said)
    if keep_picked or keep_all:
        chosen = picked if keep_picked else [hit.id for hit in found]
        requests.fetch_hits(database(), project_id, job.id, chosen, class_name, now())
        st.rerun()
