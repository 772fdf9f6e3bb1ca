"""Input of the Predict page: one or two models; images from files, the clipboard, a URL or a camera."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from studio.collect.web.fetcher import Fetcher
from studio.datasets.projects import Project
from studio.errors import ImageRefused, StudioError
from studio.i18n import _
from studio.progress import Silent
from studio.retrain.measure_confidence import measure_confidence
from studio.retrain.runs.run_records import RunSummary
from studio.settings import settings
from studio.web.predict.component import draw_live_camera, draw_paste_target
from studio.web.predict.models import open_model
from studio.web.predict.table import draw_folder
from studio.web.share.runs import finished_runs, run_title
from studio.web.text import escape_markdown

_MAX_KEPT = 20
"""Number of pasted and downloaded images that a session keeps."""


@dataclass(frozen=True)
class InputImage:
    """An image file to predict. kind: of its provenance, as `studio.datasets.sources.Source.kind`."""

    name: str
    data: bytes
    kind: str = "upload"

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file, hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()


def choose_models(project: Project) -> tuple[Sequence[RunSummary], Sequence[tuple[str, Path]]]:
    """Draw the choice of a model and of one to compare with; stop the page where there is none.

    Return one run or two, and the title and the folder of each.
    """
    finished = finished_runs(project)
    runs = [finished[0]]
    if len(finished) > 1:
        left, right = st.columns(2)
        runs = [left.selectbox(_("Model"), finished, format_func=run_title)]
        others = [run for run in finished if run.id != runs[0].id]
        other = right.selectbox(
            _("Compare with"), others, index=None, placeholder=_("None"), format_func=run_title
        )
        runs += [] if other is None else [other]
    models = [(run_title(run), settings().runs_dir / run.folder) for run in runs]
    for _title, run_dir in models:
        _ensure_confidence(run_dir)
    return runs, models


def draw_inputs(project: Project, run_id: int) -> Sequence[InputImage]:
    """Draw the inputs for images; return the images."""
    kept: list[InputImage] = st.session_state.setdefault(f"input-images-{project.id}", [])
    files_tab, paste_tab, url_tab, camera_tab, folder_tab = st.tabs(
        [_("Files"), _("Paste"), _("URL"), _("Camera"), _("Folder")],
        # Without a key the selected tab is reset when an element above appears or disappears.
        key="inputs",
    )
    with files_tab:
        uploads = st.file_uploader(_("Choose or drop images"), accept_multiple_files=True, key="files")
    with paste_tab:
        pasted = draw_paste_target(key=f"paste-{project.id}")
        if pasted is not None:
            _keep(kept, InputImage(*pasted))
    with url_tab:
        _draw_url_form(kept)
    photos = []
    with camera_tab:
        photo = _draw_camera(project, run_id)
        if photo is not None:
            photos.append(InputImage(photo.name, photo.getvalue(), "camera"))
    with folder_tab:
        selected = [InputImage(*file) for file in draw_folder(project, run_id)]
    if kept and st.button(
        _("Remove pasted and downloaded images"), icon=":material/clear_all:", type="tertiary"
    ):
        kept.clear()
    uploaded = [InputImage(upload.name, upload.getvalue()) for upload in uploads]
    return [*selected, *photos, *reversed(kept), *uploaded]


def _keep(kept: list[InputImage], image: InputImage) -> None:
    if image.sha256 not in {each.sha256 for each in kept}:
        kept.append(image)
        del kept[:-_MAX_KEPT]


def _draw_url_form(kept: list[InputImage]) -> None:
    with st.form("image-url", border=False, clear_on_submit=True):
        row = st.container(horizontal=True, vertical_alignment="bottom")
        url = row.text_input(_("URL of an image"), placeholder="https://", max_chars=2_000)
        submitted = row.form_submit_button(_("Download"), icon=":material/download:")
    if not submitted or not url.strip():
        return
    current = settings()
    try:
        with (
            st.spinner(_("Downloading the image…")),
            Fetcher(
                agent=current.user_agent,
                allowed_hosts=current.allowed_hosts,
                connections=1,
                delay_s=0,
            ) as fetcher,
        ):
            response = fetcher.get(url.strip())
    except ImageRefused as refusal:
        st.error(escape_markdown(str(refusal)), icon=":material/broken_image:")
        return
    parts = urlsplit(response.url)
    _keep(kept, InputImage(unquote(parts.path.rpartition("/")[2]) or parts.netloc, response.body))


def _draw_camera(project: Project, run_id: int) -> UploadedFile | None:
    modes = {"photo": _("One photo"), "live": _("Live")}
    mode = st.segmented_control(
        _("Camera"),
        list(modes),
        format_func=lambda each: modes[each],
        default="photo",
        required=True,
        label_visibility="collapsed",
        key="camera-mode",
    )
    if mode == "live":
        draw_live_camera(project.id, run_id, key=f"live-{project.id}")
        return None
    # Streamlit's camera input turns the camera on as soon as it is drawn.
    return st.camera_input(_("Take a photo")) if st.toggle(_("Turn the camera on")) else None


def _ensure_confidence(run_dir: Path) -> None:
    """Measure the confidence of a model that an older version of the studio trained."""
    if open_model(run_dir).confidence is not None or run_dir in _unmeasurable_runs():
        return
    with st.spinner(_("Measuring this model's confidence, once.")):
        try:
            confidence = measure_confidence(
                run_dir,
                settings().bottleneck_dir,
                threads=settings().threads_used,
                progress=Silent(),
            )
        except (StudioError, ValueError, OSError) as error:
            _unmeasurable_runs().add(run_dir)
            st.warning(escape_markdown(str(error)))
            return
    if confidence.costs is None:
        _unmeasurable_runs().add(run_dir)


@st.cache_resource(show_spinner=False)
def _unmeasurable_runs() -> set[Path]:
    """Return the folders of runs whose confidence cannot be measured, so that it is tried once only."""
    return set()
