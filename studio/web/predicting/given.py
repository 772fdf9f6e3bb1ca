"""The pictures that a person gives: dropped, pasted, by an address, from the camera."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from studio.collect.projects import Project
from studio.collect.web.visitor import Visitor
from studio.errors import PictureRefused
from studio.language import _
from studio.settings import settings
from studio.web.components.predicting import live_camera, pasting
from studio.web.predicting.folder import draw as draw_folder
from studio.web.words import plain

_MOST_KEPT = 20


@dataclass(frozen=True)
class Given:
    """A picture's file. name: for people; kind: how it came, as `studio.collect.sources.Source` has it."""

    name: str
    data: bytes
    kind: str = "upload"

    @property
    def digest(self) -> str:
        """The SHA-256 of its bytes, hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()


def given(here: Project, run_id: int) -> Sequence[Given]:
    """Draw the ways in which pictures can be given, and return those that are there."""
    key = f"given-{here.id}"
    kept: list[Given] = st.session_state.setdefault(key, [])
    files, paste, address, camera, folder = st.tabs(
        [_("Photographs"), _("Paste"), _("Address"), _("Camera"), _("Folder")],
        # Without a key the chosen tab is forgotten as soon as something appears or goes above it.
        key="given-ways",
    )
    with files:
        uploads = st.file_uploader(
            _("Drop one or more photographs"), accept_multiple_files=True, key="photographs"
        )
    with paste:
        pasted = pasting(key=f"pasting-{here.id}")
        if pasted is not None:
            _keep(kept, Given(*pasted))
    with address:
        _from_address(kept)
    shots = []
    with camera:
        shot = _camera(here, run_id)
        if shot is not None:
            shots.append(Given(shot.name, shot.getvalue(), "camera"))
    with folder:
        picked = [Given(*file) for file in draw_folder(here, run_id)]
    if kept and st.button(
        _("Clear pasted and fetched pictures"), icon=":material/clear_all:", type="tertiary"
    ):
        kept.clear()
    return [*picked, *shots, *reversed(kept), *(Given(upload.name, upload.getvalue()) for upload in uploads)]


def _keep(kept: list[Given], picture: Given) -> None:
    if picture.digest not in {each.digest for each in kept}:
        kept.append(picture)
        del kept[:-_MOST_KEPT]


def _from_address(kept: list[Given]) -> None:
    with st.form("by-address", border=False, clear_on_submit=True):
        place = st.container(horizontal=True, vertical_alignment="bottom")
        text = place.text_input(_("A picture's address"), placeholder="https://", max_chars=2_000)
        asked = place.form_submit_button(_("Fetch it"), icon=":material/download:")
    if not asked or not text.strip():
        return
    found = settings()
    try:
        with (
            st.spinner(_("Fetching the picture…")),
            Visitor(
                agent=found.user_agent,
                allowed_hosts=found.allowed_hosts,
                connections=1,
                delay_s=0,
            ) as visitor,
        ):
            answer = visitor.get(text.strip())
    except PictureRefused as refusal:
        st.error(plain(str(refusal)), icon=":material/broken_image:")
        return
    name = unquote(urlsplit(answer.address).path.rpartition("/")[2]) or urlsplit(answer.address).netloc
    _keep(kept, Given(name, answer.body))


def _camera(here: Project, run_id: int) -> UploadedFile | None:
    modes = {"one": _("One picture"), "live": _("Live")}
    mode = st.segmented_control(
        _("Camera"),
        list(modes),
        format_func=lambda each: modes[each],
        default="one",
        required=True,
        label_visibility="collapsed",
        key="camera-mode",
    )
    if mode == "live":
        live_camera(here.id, run_id, key=f"live-{here.id}")
        return None
    # A camera that is asked for is a camera that is on: it starts only when somebody wants it.
    return st.camera_input(_("Take a picture")) if st.toggle(_("Turn the camera on")) else None
