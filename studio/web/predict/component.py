"""Components of the Predict page: a field to paste an image into, and a live camera with predictions."""

import base64
import binascii
from pathlib import Path

from studio.i18n import _
from studio.web.assets import register_component

_MAX_PASTED_BYTES = 20_000_000
_FRONTEND = Path(__file__).with_name("frontend")
_paste_target = register_component(
    "predicting_pasting",
    html='<div class="place"></div>',
    css=_FRONTEND / "predict.css",
    entry=_FRONTEND / "paste_target.js",
)
_live_camera = register_component(
    "predicting_live",
    html='<div class="place"></div>',
    css=_FRONTEND / "predict.css",
    entry=_FRONTEND / "live_camera.js",
)


def draw_paste_target(*, key: str) -> tuple[str, bytes] | None:
    """Draw a field to paste an image into; return its name and its bytes on the run after it was pasted.

    Return None without an image of at most 20 MB; the field shows the reason.
    """
    result = _paste_target(
        key=key,
        data={
            "largest_bytes": _MAX_PASTED_BYTES,
            "texts": {
                "paste": _("Paste an image here"),
                "about": _("Click here and press Ctrl+V or ⌘V, or use the button."),
                "button": _("Paste from the clipboard"),
                "nothing": _("There is no image in the clipboard. Copy one, then paste it here."),
                "too_large": _("This image is larger than {limit} MB. Save it and add it as a file.").format(
                    limit=_MAX_PASTED_BYTES // 1_000_000
                ),
                "refused": _(
                    "The browser does not allow access to the clipboard. Press Ctrl+V or ⌘V instead."
                ),
                "name": _("pasted image"),
                "taken": _("Pasted."),
            },
        },
        on_image_change=lambda: None,
    )
    pasted = result.image
    if not pasted:
        return None
    try:
        data = base64.b64decode(pasted["data"], validate=True)
    except (KeyError, TypeError, binascii.Error):
        return None
    return (str(pasted.get("name", "")), data) if len(data) <= _MAX_PASTED_BYTES else None


def draw_live_camera(project_id: int, run_id: int, *, key: str) -> None:
    """Draw a camera with the predictions of a run's model below, updated with each answer."""
    _live_camera(
        key=key,
        data={
            "key": key,
            "address": f"/studio/projects/{project_id}/runs/{run_id}/answer",
            "texts": {
                "live": _("Camera image"),
                "answers": _("Predictions"),
                "on": _("Start the live camera"),
                "off": _("Stop the live camera"),
                "which": _("Camera"),
                "nameless": _("Camera {number}"),
                "unsure": _("Not sure: perhaps {label}"),
                "strange": _("Unlike the training images."),
                "speed": _("{count} images/s, {ms} ms per image"),
                "away": _("The studio does not answer. Trying again."),
                "insecure": _(
                    "Browsers allow a camera only on pages from this computer or over https. Open the studio "
                    "at http://127.0.0.1 on the computer that has the camera."
                ),
                "gone": _("The camera was disconnected. Connect it, then start it again."),
                "broken": _("The camera did not start: {why}."),
                "NotAllowedError": _(
                    "This page may not use the camera. Allow it beside the page's address or in the system "
                    "settings, then start it again."
                ),
                "NotFoundError": _("No camera was found. Connect one, then start it."),
                "NotReadableError": _(
                    "The camera cannot be used; another program may be using it. Close that program, then "
                    "start the camera."
                ),
                "OverconstrainedError": _("This camera is no longer connected. Start the camera again."),
            },
        },
    )
