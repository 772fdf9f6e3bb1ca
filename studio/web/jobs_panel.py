"""Jobs on pages: phase, progress, time left, Stop and Continue; and errors of page scripts."""

import logging
import traceback
from collections.abc import Callable, Collection

import streamlit as st

from studio.errors import StudioError
from studio.i18n import _
from studio.jobs import queue
from studio.settings import settings
from studio.web.state import database, now
from studio.web.text import escape_markdown, format_duration

_POLL_S = 1.0


def watch_jobs(
    project_id: int, kinds: Collection[str], draw: Callable[[queue.Job], None] | None = None
) -> queue.Job | None:
    """Draw the project's live jobs of these kinds; return the newest, live or ended.

    draw: draws results below the progress bar. Redrawn every second while a job is live.
    """
    with database().read() as session:
        newest = queue.latest(session, project_id, kinds)
        live = queue.live(session, project_id, kinds)
    for job in live:
        st.fragment(_draw_live_job, run_every=_POLL_S)(job.id, draw)
    return newest


def _draw_live_job(job_id: int, draw: Callable[[queue.Job], None] | None) -> None:
    with database().read() as session:
        job = queue.find(session, job_id)
    if job is None or not job.live:
        st.rerun()
    with st.container(border=True):
        status, stop = st.columns([5, 1], vertical_alignment="center")
        status.progress(job.fraction, text=_status_text(job))
        stop.button(
            _("Stop"),
            key=f"stop-{job.id}",
            icon=":material/stop_circle:",
            disabled=job.stop_requested,
            on_click=_request_stop,
            args=(job.id,),
            width="stretch",
        )
        if draw is not None:
            draw(job)


def _status_text(job: queue.Job) -> str:
    if job.stop_requested:
        return _("Stopping…")
    if job.state == "queued" or not job.phase:
        return _("Waiting for other jobs…")
    text = escape_markdown(job.phase)
    if job.total:
        text += f" · {job.done:,} / {job.total:,}"
    left_s = job.seconds_left(now())
    return (
        text if left_s is None else text + " · " + _("about {time} left").format(time=format_duration(left_s))
    )


def _request_stop(job_id: int) -> None:
    with database().write() as session:
        queue.request_stop(session, job_id, now())


def draw_failure(job: queue.Job) -> None:
    """Draw a failed or stopped job's message, with a button that continues from what it had finished."""
    if job.state not in {"failed", "stopped"}:
        return
    if job.state == "failed":
        st.error(escape_markdown(job.error or ""), icon=":material/error:")
    else:
        st.info(
            _("Stopped. Finished work is saved; press Continue to resume."), icon=":material/stop_circle:"
        )
    if st.button(_("Continue"), icon=":material/play_arrow:", key=f"continue-{job.id}"):
        with database().write() as session:
            queue.resume(session, job.id)
        st.rerun()


_log = logging.getLogger("studio.web")


def show_error(error: Exception) -> bool:
    """Draw an exception of a page's script; return True: Streamlit need not draw it."""
    if isinstance(error, StudioError):
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return True
    path = settings().logs_dir / "web.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as log:
        log.writelines(traceback.format_exception(error))
    st.error(
        _("Something went wrong. Your work is saved: reload the page. The details are in {path}.").format(
            path=escape_markdown(str(path))
        ),
        icon=":material/error:",
    )
    return True
