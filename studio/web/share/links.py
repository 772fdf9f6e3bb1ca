"""The part of a page where links to a model are made, looked after and closed."""

import ipaddress
import socket
from dataclasses import dataclass
from datetime import timedelta
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
from studio.share.links import LONGEST_NAME, Link
from studio.share.tasks import fetch_runtime
from studio.share.web_demo.runtime import runtime_here
from studio.web.jobs_panel import ended_badly, watch
from studio.web.layout import page_link
from studio.web.state import database, now
from studio.web.text import moment, percent, plain

_EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104 - compared, not listened on
_NOBODY = ("192.0.2.1", 9)
"""An address that is nobody's (RFC 5737): to ask the system which of ours it would use, nothing is sent."""


@dataclass(frozen=True)
class Base:
    """What links begin with. open_to_others: whether anybody but this machine can come there."""

    address: str
    open_to_others: bool

    def link(self, token: str) -> str:
        """Return a link's whole address."""
        return f"{self.address}/share/{token}"


def base_of(told: str, visited: str, listening: str) -> Base:
    """Return where others reach the studio.

    told: what the settings say, empty where they do not. visited: the address under which the owner looks at
    it. listening: what the server listens on.
    """
    if told:
        return Base(told.rstrip("/"), True)
    parts = urlsplit(visited)
    host = parts.hostname or "localhost"
    shown = f"{parts.scheme or 'http'}://{parts.netloc or host}"
    if not is_here(host):
        return Base(shown, True)
    if listening not in _EVERYWHERE:
        return Base(shown, False)
    port = f":{parts.port}" if parts.port else ""
    return Base(f"{parts.scheme}://{_own_address()}{port}", True)


def is_here(host: str) -> bool:
    """Whether a name or an address is this machine's own, for itself alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _own_address() -> str:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(_NOBODY)
            return str(probe.getsockname()[0])
    except OSError:
        return socket.gethostname()


_DAYS = (1, 7, 30, 365, None)
_QR_PX = 200


def draw(here: Project, run: RunSummary) -> None:
    """Draw the links of a project, and the form that makes one to a finished run."""
    st.subheader(_("Links"), anchor=False)
    st.markdown(
        _(
            "Whoever has a link can show this model images, on a phone too: in their own browser where it "
            "can, and here where it cannot. They reach this model and nothing else."
        )
    )
    base = base_of(settings().address, st.context.url or "", str(st.get_option("server.address") or ""))
    _form(here, run)
    _made(here, base)
    with database().read() as session:
        found = links.links(session, here.id)
        said = feedback.marks(session, here.id)
    for link in found:
        _link(here, link)
    if found:
        _runtime(here)
    if said:
        _marked(here, said)


def _form(here: Project, run: RunSummary) -> None:
    with st.form(f"link-{here.id}", border=True):
        name = st.text_input(
            _("What its page is called"), value=here.name[:LONGEST_NAME], max_chars=LONGEST_NAME
        )
        days = st.selectbox(_("Open for"), _DAYS, index=2, format_func=_lasting)
        keeps = st.checkbox(
            _("Ask visitors for the image when they mark an answer wrong"),
            help=_("They may say no. What they leave waits in Curate, without place and time."),
        )
        shows = st.checkbox(_("Show training images of each class"))
        if st.form_submit_button(_("Make a link"), type="primary", icon=":material/add_link:"):
            _make(here, run, name, days, keeps, shows)


def _make(here: Project, run: RunSummary, name: str, days: int | None, keeps: bool, shows: bool) -> None:
    try:
        with database().write() as session:
            link_id, token = links.create(
                session,
                run.id,
                name,
                now(),
                expires_at=None if days is None else now() + timedelta(days=days),
                keeps_images=keeps,
                shows_examples=shows,
            )
    except StudioError as error:
        st.warning(plain(str(error)))
        return
    st.session_state[_key(here)] = (link_id, token)
    if runtime_here(settings().downloads_dir) is None:
        fetch_runtime(database(), here.id, now())


def _made(here: Project, base: Base) -> None:
    """Show the address that was just made: this once, since it is not kept."""
    if _key(here) not in st.session_state:
        return
    _link_id, token = st.session_state[_key(here)]
    address = base.link(token)
    with st.container(border=True, key=f"new-link-{here.id}"):
        image, text = st.columns([1, 3], vertical_alignment="center")
        code = segno.make(address, error="m", micro=False)
        image.image(code.svg_inline(scale=6, border=3, light="#fff"), width=_QR_PX)
        with text:
            st.code(address, language=None, wrap_lines=True)
            st.caption(
                _("Copy it or photograph the code now: only its hash is kept, so it is not shown again.")
            )
            if not base.open_to_others:
                st.info(
                    _(
                        "This studio listens to this machine alone. For others, start it with "
                        "--host 0.0.0.0 and STUDIO_SECRET, or put it behind a server of yours and name that "
                        "in STUDIO_ADDRESS."
                    ),
                    icon=":material/lock:",
                )
            elif address.startswith("http:"):
                st.caption(_("Browsers give the live camera only to addresses with https; photographs work."))
            with st.container(horizontal=True):
                st.link_button(_("Open"), address, icon=":material/open_in_new:")
                if st.button(_("Done"), key=f"done-link-{here.id}"):
                    del st.session_state[_key(here)]
                    st.rerun()


def _link(here: Project, link: Link) -> None:
    state = link.state(now())
    with st.container(border=True, key=f"link-{link.id}"):
        text, acts = st.columns([3, 2], vertical_alignment="center")
        badges = {
            "open": (_("open"), "green"),
            "expired": (_("expired"), "gray"),
            "revoked": (_("revoked"), "red"),
        }
        word, colour = badges[state]
        text.markdown(f"**{plain(link.name)}** :{colour}-badge[{word}]")
        text.caption(_counts(link))
        with acts.container(horizontal=True, horizontal_alignment="right"):
            if state != "expired" and st.button(
                _("New address"),
                key=f"renew-{link.id}",
                help=_("Those that were handed out before open nothing from then on."),
            ):
                with database().write() as session:
                    st.session_state[_key(here)] = (link.id, links.renew(session, link.id))
                st.rerun()
            if state != "revoked" and st.button(
                _("Revoke"), key=f"revoke-{link.id}", icon=":material/link_off:"
            ):
                with database().write() as session:
                    links.revoke(session, link.id, now())
                # What was just shown may be what was just closed.
                if st.session_state.get(_key(here), (0,))[0] == link.id:
                    del st.session_state[_key(here)]
                st.rerun()


def _counts(link: Link) -> str:
    parts = [
        counted("opened {count} time", "opened {count} times", link.opened),
        counted("{count} image answered here", "{count} images answered here", link.answered),
        counted("{count} answer marked wrong", "{count} answers marked wrong", link.marked),
    ]
    parts.append(_("closes {when}").format(when=moment(link.expires_at)) if link.expires_at else _("no end"))
    return plain(" · ".join(parts))


def _runtime(here: Project) -> None:
    job = watch(here.id, {"fetch_runtime"})
    if runtime_here(settings().downloads_dir) is not None:
        return
    if job is not None:
        ended_badly(job)
    st.caption(_("Until the browsers' runtime is here, every image is answered by this machine."))


def _marked(here: Project, said: tuple[feedback.Mark, ...]) -> None:
    with st.expander(_("Answers that visitors marked wrong"), icon=":material/thumb_down:"):
        page_link(
            "curate",
            _("Their images in Curate"),
            here.name,
            icon=":material/grid_view:",
            asking={"source": VISITOR},
        )
        st.dataframe(
            [
                {
                    _("when"): moment(mark.at),
                    _("link"): mark.link,
                    _("answered"): mark.answered,
                    _("sure"): percent(mark.score),
                    _("meant"): mark.meant or "—",
                    _("image"): mark.sha256 is not None,
                }
                for mark in said
            ],
            hide_index=True,
        )


def _lasting(days: int | None) -> str:
    return _("ever") if days is None else counted("{count} day", "{count} days", days)


def _key(here: Project) -> str:
    return f"new-link-{here.id}"
