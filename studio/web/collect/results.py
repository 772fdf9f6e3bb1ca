"""What the ways in have brought: counts by site while a job runs, and every reason afterwards."""

from collections.abc import Callable
from functools import partial
from io import StringIO
from uuid import uuid4

import streamlit as st

from studio.collect import outcomes
from studio.i18n import _, counted
from studio.images import attribution, near_duplicates
from studio.images.reasons import title
from studio.jobs import queue
from studio.web.jobs_panel import ended_badly
from studio.web.state import database, now
from studio.web.text import images

_PAGE_ROWS = 200


def so_far(job: queue.Job) -> None:
    """Draw what a running job has brought, by site and by reason."""
    with database().read() as session:
        counts = outcomes.counts(session, job.project_id or 0, job.id)
    _numbers(counts, ended=False)
    _by_site(counts)


def ended(job: queue.Job) -> None:
    """Draw what a job has brought in the end, why other addresses gave nothing, and a way to go on."""
    ended_badly(job)
    with database().read() as session:
        counts = outcomes.counts(session, job.project_id or 0, job.id)
    if not counts.total:
        return
    _numbers(counts, ended=job.state == "done")
    _by_site(counts)
    if counts.by_why:
        _reasons(job, counts)


def _numbers(counts: outcomes.Counts, *, ended: bool) -> None:
    said = _("{added} added, {copies} already there, {refused} refused.").format(
        added=f"{counts.added:,}", copies=f"{counts.copies:,}", refused=f"{counts.refused:,}"
    )
    if counts.pages:
        said += " " + counted("{count} page read.", "{count} pages read.", counts.pages)
    if ended:
        st.success(said, icon=":material/check_circle:")
    else:
        st.markdown(said)


def _by_site(counts: outcomes.Counts) -> None:
    sites = [each for each in counts.by_site if each.site]
    if not sites:
        return
    st.dataframe(
        {
            _("site"): [each.site for each in sites],
            _("added"): [each.added for each in sites],
            _("already there"): [each.copies for each in sites],
            _("refused"): [each.refused for each in sites],
            _("pages read"): [each.pages for each in sites],
        },
        hide_index=True,
        width="stretch",
        height="content" if len(sites) <= 8 else 320,  # noqa: PLR2004 - as many as fit
    )


def _reasons(job: queue.Job, counts: outcomes.Counts) -> None:
    with st.expander(
        _("Why not: {count}").format(count=f"{sum(counts.by_why.values()):,}"), icon=":material/help:"
    ):
        chosen = st.pills(
            _("Reason"),
            list(counts.by_why),
            format_func=lambda why: f"{title(why)} · {counts.by_why[why]:,}",
            key=f"why-{job.id}",
        )
        with database().read() as session:
            rows = outcomes.reasons(session, job.project_id or 0, job.id, why=chosen, limit=_PAGE_ROWS)
        st.dataframe(
            {
                _("address or file"): [row.address for row in rows],
                _("reason"): [row.reason for row in rows],
                _("page"): [row.page_address for row in rows],
            },
            hide_index=True,
            width="stretch",
        )


def provenance(project_id: int, project_name: str) -> None:
    """Draw the ways to take along the images' provenance, and the groups of near copies."""
    with database().read() as session:
        near = near_duplicates.count_duplicates(session, project_id)
    if near.groups:
        _near_copies(project_id, near)
    with st.container(horizontal=True):
        st.download_button(
            _("Attribution as text"),
            partial(_written, project_id, attribution.as_text),
            file_name=f"{project_name} ATTRIBUTION.txt",
            mime="text/plain",
            icon=":material/copyright:",
            on_click="ignore",
        )
        st.download_button(
            _("Attribution as CSV"),
            partial(_written, project_id, attribution.as_csv),
            file_name=f"{project_name} ATTRIBUTION.csv",
            mime="text/csv",
            icon=":material/table:",
            on_click="ignore",
        )
        st.download_button(
            _("Every address and file as CSV"),
            partial(_sources, project_id),
            file_name=f"{project_name} sources.csv",
            mime="text/csv",
            icon=":material/list:",
            on_click="ignore",
        )


def _near_copies(project_id: int, near: near_duplicates.DuplicateCounts) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            _("{images} are nearly the same as larger ones, in {groups}.").format(
                images=images(near.images_beyond_keepers),
                groups=counted("{count} group", "{count} groups", near.groups),
            )
        )
        if st.button(
            _("Set the smaller ones aside"),
            icon=":material/filter_none:",
            help=_("They are rejected, and can be brought back in Curate with Undo."),
        ):
            operation = uuid4().hex
            with database().write() as session:
                near_duplicates.reject_duplicates(session, project_id, operation_id=operation, now=now())
            st.session_state["last_operation"] = (project_id, operation)
            st.rerun()


def _written(project_id: int, write: Callable[[tuple[attribution.ImageCredit, ...]], str]) -> str:
    with database().read() as session:
        return write(attribution.rows(session, project_id))


def _sources(project_id: int) -> str:
    file = StringIO()
    with database().read() as session:
        outcomes.sources_csv(session, project_id, file)
    return file.getvalue()
