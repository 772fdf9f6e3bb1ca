"""The Links section of the Share page: create, renew and revoke share links; counters; visitor feedback."""

import ipaddress
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import segno
import streamlit as st

from studio.datasets.projects import Project
from studio.errors import StudioError
from studio.i18n import _, counted
from studio.images.provenance import VISITOR
from studio.retrain.runs.run_records import RunSummary
from studio.settings import settings
from studio.share import feedback, links
from studio.share.links import MAX_NAME_LENGTH, ShareLink
from studio.share.tasks import enqueue_runtime_fetch
from studio.share.web_demo.runtime import installed_runtime
from studio.web.jobs_panel import draw_failure, watch_jobs
from studio.web.layout import page_link
from studio.web.state import database, now
from studio.web.text import escape_markdown, format_datetime, format_percent

_ALL_INTERFACES = {"0.0.0.0", "::"}  # noqa: S104 - compared, not listened on
_TEST_ADDRESS = ("192.0.2.1", 9)
"""A reserved address (RFC 5737): the system says which own address it would use for it; nothing is sent."""


@dataclass(frozen=True)
class ShareBaseUrl:
    """The base of share URLs. open_to_others: whether other machines can reach it."""

    address: str
    open_to_others: bool

    def link(self, token: str) -> str:
        """Return a link's URL."""
        return f"{self.address}/share/{token}"


def share_base_url(configured: str, visited: str, listening: str) -> ShareBaseUrl:
    """Return the URL under which others reach the studio.

    configured: the setting, empty if not set. visited: the URL in the owner's browser. listening: the address
    that the server listens on.
    """
    if configured:
        return ShareBaseUrl(configured.rstrip("/"), True)
    parts = urlsplit(visited)
    host = parts.hostname or "localhost"
    shown = f"{parts.scheme or 'http'}://{parts.netloc or host}"
    if not is_loopback(host):
        return ShareBaseUrl(shown, True)
    if listening not in _ALL_INTERFACES:
        return ShareBaseUrl(shown, False)
    port = f":{parts.port}" if parts.port else ""
    return ShareBaseUrl(f"{parts.scheme}://{_lan_address()}{port}", True)


def is_loopback(host: str) -> bool:
    """Return whether a host name or an address is this machine's loopback."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _lan_address() -> str:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(_TEST_ADDRESS)
            return str(probe.getsockname()[0])
    except OSError:
        return socket.gethostname()


_DAYS = (1, 7, 30, 365, None)
_QR_PX = 200


def draw(project: Project, run: RunSummary) -> None:
    """Draw the links of a project, and the form that creates one to a finished run."""
    st.subheader(_("Links"), anchor=False)
    st.markdown(
        _(
            "Anyone with a link can try this model, on a phone too. It runs in their browser, or on this "
            "machine if their browser cannot run it. A link opens this model and nothing else."
        )
    )
    base = share_base_url(
        settings().address, st.context.url or "", str(st.get_option("server.address") or "")
    )
    _create_form(project, run)
    _new_link(project, base)
    with database().read() as session:
        project_links = links.list_links(session, project.id)
        records = feedback.list_feedback(session, project.id)
    for link in project_links:
        _link(project, link)
    if project_links:
        _runtime_status(project)
    if records:
        _feedback(project, records)


def _create_form(project: Project, run: RunSummary) -> None:
    with st.form(f"link-{project.id}", border=True):
        name = st.text_input(_("Page title"), value=project.name[:MAX_NAME_LENGTH], max_chars=MAX_NAME_LENGTH)
        days = st.selectbox(_("Open for"), _DAYS, index=2, format_func=_duration_text)
        keeps_images = st.checkbox(
            _("Ask visitors for the image when they mark a prediction wrong"),
            help=_("They may decline. The images are added to Curate without a label and without metadata."),
        )
        shows_examples = st.checkbox(_("Show training images of each class"))
        if st.form_submit_button(_("Create link"), type="primary", icon=":material/add_link:"):
            expires_at = None if days is None else now() + timedelta(days=days)
            _create(project, run, name, expires_at, keeps_images=keeps_images, shows_examples=shows_examples)


def _create(
    project: Project,
    run: RunSummary,
    name: str,
    expires_at: datetime | None,
    *,
    keeps_images: bool,
    shows_examples: bool,
) -> None:
    try:
        with database().write() as session:
            link_id, token = links.create(
                session,
                run.id,
                name,
                now(),
                expires_at=expires_at,
                keeps_images=keeps_images,
                shows_examples=shows_examples,
            )
    except StudioError as error:
        st.warning(escape_markdown(str(error)))
        return
    st.session_state[_new_link_key(project)] = (link_id, token)
    if installed_runtime(settings().downloads_dir) is None:
        enqueue_runtime_fetch(database(), project.id, now())


def _new_link(project: Project, base: ShareBaseUrl) -> None:
    """Draw a new link with its QR code. It is shown only once, since the token is not stored."""
    if _new_link_key(project) not in st.session_state:
        return
    _link_id, token = st.session_state[_new_link_key(project)]
    url = base.link(token)
    with st.container(border=True, key=f"new-link-{project.id}"):
        image, text = st.columns([1, 3], vertical_alignment="center")
        code = segno.make(url, error="m", micro=False)
        image.image(code.svg_inline(scale=6, border=3, light="#fff"), width=_QR_PX)
        with text:
            st.code(url, language=None, wrap_lines=True)
            st.caption(_("Copy the link or scan the code now: it is not stored and cannot be shown again."))
            if not base.open_to_others:
                st.info(
                    _(
                        "This studio can only be reached from this machine. To let others in, start it with "
                        "--host 0.0.0.0 and STUDIO_SECRET, or put it behind a reverse proxy and set "
                        "STUDIO_ADDRESS to its URL."
                    ),
                    icon=":material/lock:",
                )
            elif url.startswith("http:"):
                st.caption(_("Browsers allow the live camera only with https. Uploading images works."))
            with st.container(horizontal=True):
                st.link_button(_("Open"), url, icon=":material/open_in_new:")
                if st.button(_("Done"), key=f"done-link-{project.id}"):
                    del st.session_state[_new_link_key(project)]
                    st.rerun()


def _link(project: Project, link: ShareLink) -> None:
    state = link.state(now())
    with st.container(border=True, key=f"link-{link.id}"):
        text, buttons = st.columns([3, 2], vertical_alignment="center")
        badges = {
            "open": (_("open"), "green"),
            "expired": (_("expired"), "gray"),
            "revoked": (_("revoked"), "red"),
        }
        state_text, colour = badges[state]
        text.markdown(f"**{escape_markdown(link.name)}** :{colour}-badge[{state_text}]")
        text.caption(_counts_text(link))
        with buttons.container(horizontal=True, horizontal_alignment="right"):
            if state != "expired" and st.button(
                _("Renew link"),
                key=f"renew-{link.id}",
                help=_("Create a new link in its place. The old one stops working."),
            ):
                with database().write() as session:
                    st.session_state[_new_link_key(project)] = (link.id, links.renew(session, link.id))
                st.rerun()
            if state != "revoked" and st.button(
                _("Revoke"), key=f"revoke-{link.id}", icon=":material/link_off:"
            ):
                with database().write() as session:
                    links.revoke(session, link.id, now())
                # The revoked link may be the one still shown.
                if st.session_state.get(_new_link_key(project), (0,))[0] == link.id:
                    del st.session_state[_new_link_key(project)]
                st.rerun()


def _counts_text(link: ShareLink) -> str:
    parts = [
        counted("opened {count} time", "opened {count} times", link.page_views),
        counted(
            "{count} image classified on this machine",
            "{count} images classified on this machine",
            link.server_predictions,
        ),
        counted("{count} prediction marked wrong", "{count} predictions marked wrong", link.feedback_count),
    ]
    parts.append(
        _("expires {when}").format(when=format_datetime(link.expires_at))
        if link.expires_at
        else _("never expires")
    )
    return escape_markdown(" · ".join(parts))


def _runtime_status(project: Project) -> None:
    job = watch_jobs(project.id, {"fetch_runtime"})
    if installed_runtime(settings().downloads_dir) is not None:
        return
    if job is not None:
        draw_failure(job)
    st.caption(_("Until the browser runtime is downloaded, all images are classified on this machine."))


def _feedback(project: Project, records: tuple[feedback.FeedbackRecord, ...]) -> None:
    with st.expander(_("Visitor feedback"), icon=":material/thumb_down:"):
        page_link(
            "curate",
            _("Show their images in Curate"),
            project.name,
            icon=":material/grid_view:",
            query={"source": VISITOR},
        )
        st.dataframe(
            [
                {
                    _("time"): format_datetime(record.at),
                    _("link"): record.link_name,
                    _("predicted class"): record.predicted,
                    _("confidence"): format_percent(record.score),
                    _("correct class"): record.correct or "—",
                    _("image"): record.sha256 is not None,
                }
                for record in records
            ],
            hide_index=True,
        )


def _duration_text(days: int | None) -> str:
    return _("no end") if days is None else counted("{count} day", "{count} days", days)


def _new_link_key(project: Project) -> str:
    return f"new-link-{project.id}"
