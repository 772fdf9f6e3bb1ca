"""Results of imports: counts by outcome and site, skip reasons, near-duplicates, downloads of provenance."""

from collections.abc import Callable
from functools import partial
from io import StringIO
from uuid import uuid4

import streamlit as st

from studio.collect import outcomes
from studio.i18n import _, counted
from studio.images import attribution, near_duplicates
from studio.images.skip_reasons import skip_reason_title
from studio.jobs import queue
from studio.web.jobs_panel import draw_failure
from studio.web.state import database, now
from studio.web.text import image_count

_MAX_ROWS = 200


def draw_progress(job: queue.Job) -> None:
    """Draw the counts of a running import, in total and by site."""
    with database().read() as session:
        counts = outcomes.count_outcomes(session, job.project_id or 0, job.id)
    _draw_counts(counts, ended=False)
    _draw_site_table(counts)


def draw_outcome(job: queue.Job) -> None:
    """Draw the counts of an ended import, its skip reasons, and a button to continue a failed one."""
    draw_failure(job)
    with database().read() as session:
        counts = outcomes.count_outcomes(session, job.project_id or 0, job.id)
    if not counts.total:
        return
    _draw_counts(counts, ended=job.state == "done")
    _draw_site_table(counts)
    if counts.by_reason:
        _draw_skipped(job, counts)


def _draw_counts(counts: outcomes.OutcomeCounts, *, ended: bool) -> None:
    text = _("{added} added, {duplicates}, {skipped} skipped.").format(
        added=f"{counts.added:,}",
        duplicates=counted("{count} duplicate", "{count} duplicates", counts.duplicates),
        skipped=f"{counts.skipped:,}",
    )
    if counts.pages:
        text += " " + counted("{count} page crawled.", "{count} pages crawled.", counts.pages)
    if ended:
        st.success(text, icon=":material/check_circle:")
    else:
        st.markdown(text)


def _draw_site_table(counts: outcomes.OutcomeCounts) -> None:
    sites = [each for each in counts.by_site if each.site]
    if not sites:
        return
    st.dataframe(
        {
            _("site"): [each.site for each in sites],
            _("added"): [each.added for each in sites],
            _("duplicates"): [each.duplicates for each in sites],
            _("skipped"): [each.skipped for each in sites],
            _("pages crawled"): [each.pages for each in sites],
        },
        hide_index=True,
        width="stretch",
        height="content" if len(sites) <= 8 else 320,  # noqa: PLR2004 - as many as fit
    )


def _draw_skipped(job: queue.Job, counts: outcomes.OutcomeCounts) -> None:
    with st.expander(
        _("Not added: {count}").format(count=f"{sum(counts.by_reason.values()):,}"), icon=":material/help:"
    ):
        chosen = st.pills(
            _("Reason"),
            list(counts.by_reason),
            format_func=lambda reason: f"{skip_reason_title(reason)} · {counts.by_reason[reason]:,}",
            key=f"skip-reason-{job.id}",
        )
        with database().read() as session:
            rows = outcomes.skipped_items(
                session, job.project_id or 0, job.id, skip_reason=chosen, limit=_MAX_ROWS
            )
        st.dataframe(
            {
                _("URL or file"): [row.name for row in rows],
                _("reason"): [row.message for row in rows],
                _("page"): [row.page_url for row in rows],
            },
            hide_index=True,
            width="stretch",
        )


def draw_downloads(project_id: int, project_name: str) -> None:
    """Draw the near-duplicates, and the downloads of attribution and of the import log."""
    with database().read() as session:
        near = near_duplicates.count_duplicates(session, project_id)
    if near.groups:
        _draw_near_duplicates(project_id, near)
    with st.container(horizontal=True):
        st.download_button(
            _("Download attribution (text)"),
            partial(_attribution_file, project_id, attribution.as_text),
            file_name=f"{project_name} ATTRIBUTION.txt",
            mime="text/plain",
            icon=":material/copyright:",
            on_click="ignore",
        )
        st.download_button(
            _("Download attribution (CSV)"),
            partial(_attribution_file, project_id, attribution.as_csv),
            file_name=f"{project_name} ATTRIBUTION.csv",
            mime="text/csv",
            icon=":material/table:",
            on_click="ignore",
        )
        st.download_button(
            _("Download import log (CSV)"),
            partial(_import_log, project_id),
            file_name=f"{project_name} sources.csv",
            mime="text/csv",
            icon=":material/list:",
            on_click="ignore",
        )


def _draw_near_duplicates(project_id: int, near: near_duplicates.DuplicateCounts) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            _("{images} are near-duplicates of larger images, in {groups}.").format(
                images=image_count(near.images_beyond_keepers),
                groups=counted("{count} group", "{count} groups", near.groups),
            )
        )
        if st.button(
            _("Reject near-duplicates"),
            icon=":material/filter_none:",
            help=_("The largest image of each group is kept. Undo in Curate restores the others."),
        ):
            with database().write() as session:
                near_duplicates.reject_duplicates(session, project_id, operation_id=uuid4().hex, now=now())
            st.rerun()


def _attribution_file(project_id: int, write: Callable[[tuple[attribution.ImageCredit, ...]], str]) -> str:
    with database().read() as session:
        return write(attribution.image_credits(session, project_id))


def _import_log(project_id: int) -> str:
    file = StringIO()
    with database().read() as session:
        outcomes.write_outcomes_csv(session, project_id, file)
    return file.getvalue()
