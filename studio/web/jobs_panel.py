"""A job as a page shows it: phase, progress, time left, Stop, and how it ended."""

import logging
import traceback
from collections.abc import Callable, Collection

import streamlit as st

from studio.errors import StudioError
from studio.i18n import _
from studio.jobs import queue
from studio.settings import settings
from studio.web.state import database, now
from studio.web.text import duration, plain

_POLL_S = 1.0


def watch(
    project_id: int, kinds: Collection[str], draw: Callable[[queue.Job], None] | None = None
) -> queue.Job | None:
    """Draw the project's live jobs of these kinds, anew every second; return the newest, live or ended.

    draw: what to draw beneath the progress. While nothing runs, nothing polls.
    """
    with database().read() as session:
        newest = queue.latest(session, project_id, kinds)
        live = queue.live(session, project_id, kinds)
    for job in live:
        st.fragment(_live, run_every=_POLL_S)(job.id, draw)
    return newest


def _live(job_id: int, draw: Callable[[queue.Job], None] | None) -> None:
    with database().read() as session:
        job = queue.find(session, job_id)
    if job is None or not job.live:
        st.rerun()
    with st.container(border=True):
        about, stop = st.columns([5, 1], vertical_alignment="center")
        about.progress(job.fraction, text=_said(job))
        stop.button(
            _("Stop"),
            key=f"stop-{job.id}",
            icon=":material/stop_circle:",
            disabled=job.stop_asked,
            on_click=_stop,
            args=(job.id,),
            width="stretch",
        )
        if draw is not None:
            draw(job)


def _said(job: queue.Job) -> str:
    if job.stop_asked:
        return _("Stopping…")
    if job.state == "queued" or not job.phase:
        return _("Waiting for its turn…")
    said = plain(job.phase)
    if job.total:
        said += f" · {job.done:,} / {job.total:,}"
    left_s = job.seconds_left(now())
    return said if left_s is None else said + " · " + _("about {time} left").format(time=duration(left_s))


def _stop(job_id: int) -> None:
    with database().write() as session:
        queue.request_stop(session, job_id, now())


def ended_badly(job: queue.Job) -> None:
    """Say why a job did not end well, with a button that goes on from what it had finished."""
    if job.state not in {"failed", "stopped"}:
        return
    if job.state == "failed":
        st.error(plain(job.error or ""), icon=":material/error:")
    else:
        st.info(_("Stopped. What was finished is kept."), icon=":material/stop_circle:")
    if st.button(_("Continue"), icon=":material/play_arrow:", key=f"continue-{job.id}"):
        with database().write() as session:
            queue.resume(session, job.id)
        st.rerun()


_log = logging.getLogger("studio.web")


def show_fault(fault: Exception) -> bool:
    """Draw `fault` on the page; True tells Streamlit that it need not."""
    if isinstance(fault, StudioError):
        st.error(plain(str(fault)), icon=":material/error:")
        return True
    path = settings().logs_dir / "web.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as log:
        log.writelines(traceback.format_exception(fault))
    st.error(
        _(
            "Something unexpected happened. Nothing you entered is lost: reload the page. "
            "The details are in {path}."
        ).format(path=plain(str(path))),
        icon=":material/error:",
    )
    return True
