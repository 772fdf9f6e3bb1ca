"""The images that a person gives: dropped, pasted, by an address, from the camera."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from studio.collect.web.fetcher import Visitor
from studio.datasets.projects import Project
from studio.errors import ImageRefused, StudioError
from studio.i18n import _
from studio.progress import Silent
from studio.retrain.measure_confidence import measured
from studio.retrain.runs.run_records import RunSummary
from studio.settings import settings
from studio.web.predict.component import live_camera, pasting
from studio.web.predict.models import open_model
from studio.web.predict.table import draw as draw_folder
from studio.web.share.runs import finished_runs, run_title
from studio.web.text import plain

_MOST_KEPT = 20


@dataclass(frozen=True)
class Given:
    """An image's file. name: for people; kind: how it came, as `studio.datasets.sources.Source` has it."""

    name: str
    data: bytes
    kind: str = "upload"

    @property
    def digest(self) -> str:
        """The SHA-256 of its bytes, hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()


def given(here: Project, run_id: int) -> Sequence[Given]:
    """Draw the ways in which images can be given, and return those that are there."""
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
    if kept and st.button(_("Clear pasted and fetched images"), icon=":material/clear_all:", type="tertiary"):
        kept.clear()
    return [*picked, *shots, *reversed(kept), *(Given(upload.name, upload.getvalue()) for upload in uploads)]


def _keep(kept: list[Given], image: Given) -> None:
    if image.digest not in {each.digest for each in kept}:
        kept.append(image)
        del kept[:-_MOST_KEPT]


def _from_address(kept: list[Given]) -> None:
    with st.form("by-address", border=False, clear_on_submit=True):
        place = st.container(horizontal=True, vertical_alignment="bottom")
        text = place.text_input(_("An image's address"), placeholder="https://", max_chars=2_000)
        asked = place.form_submit_button(_("Fetch it"), icon=":material/download:")
    if not asked or not text.strip():
        return
    found = settings()
    try:
        with (
            st.spinner(_("Fetching the image…")),
            Visitor(
                agent=found.user_agent,
                allowed_hosts=found.allowed_hosts,
                connections=1,
                delay_s=0,
            ) as visitor,
        ):
            answer = visitor.get(text.strip())
    except ImageRefused as refusal:
        st.error(plain(str(refusal)), icon=":material/broken_image:")
        return
    name = unquote(urlsplit(answer.address).path.rpartition("/")[2]) or urlsplit(answer.address).netloc
    _keep(kept, Given(name, answer.body))


def _camera(here: Project, run_id: int) -> UploadedFile | None:
    modes = {"one": _("One image"), "live": _("Live")}
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
    return st.camera_input(_("Take an image")) if st.toggle(_("Turn the camera on")) else None


def chosen(here: Project) -> tuple[Sequence[RunSummary], Sequence[tuple[str, Path]]]:
    """Draw the choice; return one run or two, and of each a title and its folder. Stops the page without."""
    finished = finished_runs(here)
    runs = [finished[0]]
    if len(finished) > 1:
        left, right = st.columns(2)
        runs = [left.selectbox(_("Model"), finished, format_func=run_title)]
        others = [run for run in finished if run.id != runs[0].id]
        beside = right.selectbox(
            _("Beside it"), others, index=None, placeholder=_("no other model"), format_func=run_title
        )
        runs += [] if beside is None else [beside]
    models = [(run_title(run), settings().runs_dir / run.folder) for run in runs]
    for _said, run_dir in models:
        _measure(run_dir)
    return runs, models


def _measure(run_dir: Path) -> None:
    """Set the sureness of a run that an older studio has made."""
    if open_model(run_dir).sureness is not None or run_dir in _unmeasurable():
        return
    with st.spinner(_("Measuring how sure this model may be. This is done once.")):
        try:
            found = measured(
                run_dir,
                settings().bottleneck_dir,
                threads=settings().threads_used,
                progress=Silent(),
            )
        except (StudioError, ValueError, OSError) as error:
            _unmeasurable().add(run_dir)
            st.warning(plain(str(error)))
            return
    if found.costs is None:
        _unmeasurable().add(run_dir)


@st.cache_resource(show_spinner=False)
def _unmeasurable() -> set[Path]:
    """Return the runs that were tried in vain, so that it is not tried at every step."""
    return set()
