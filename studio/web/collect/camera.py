"""Taking images with a camera, many while a button is held, straight into a class."""

from pathlib import Path

import streamlit as st

from studio.i18n import _
from studio.web.collect import uploader

_component = st.components.v2.component(
    "camera",
    html='<div class="place"></div>',
    css=Path(__file__).with_name("frontend").joinpath("camera.css").read_text(encoding="utf-8"),
    js=uploader.script("../../components/camera_stream.js", "camera.js"),
)


def camera(project_id: int, class_name: str | None, *, key: str, interval_ms: int = 200) -> int | None:
    """Draw a camera that takes an image every `interval_ms` (100 to 2000) while its button is held.

    Each burst is sent as it ends, into `class_name`, without which none begins. Returns the job that takes a
    burst in, on the run after it has arrived.
    """
    result = _component(
        key=key,
        data={
            "key": key,
            "project": project_id,
            "class_name": class_name,
            "interval_ms": interval_ms,
            "texts": uploader.texts()
            | {
                "camera": _("Camera"),
                "live": _("What the camera sees"),
                "on": _("Turn the camera on"),
                "off": _("Turn the camera off"),
                "which": _("Camera"),
                "nameless": _("Camera {number}"),
                "every": _("An image every (ms)"),
                "review": _("Look through them before they are sent"),
                "class_first": _("Choose or type the class for these images first, above."),
                "hold_any": _("Hold to take images"),
                "hold": _("Hold to take images of {class_name}"),
                "strip": _("The last images"),
                "leave_out": _("Leave out image {number}"),
                "send": _("Send {count}"),
                "discard": _("Discard"),
                "sending": _("Sending images of {class_name}: {count}"),
                "sent": _("Images sent and handed over: {count}."),
                "insecure": _(
                    "Browsers give a camera only to pages on the same machine or behind https. Open the "
                    "studio at http://127.0.0.1 on the machine that has the camera, or take the images "
                    "with the camera's own program and bring them in as files."
                ),
                "gone": _("The camera is gone. Connect it again, then turn it on."),
                "broken": _("The camera does not start: {why}."),
                "NotAllowedError": _(
                    "This page may not use the camera. Allow it beside the page's address or in the system's "
                    "settings, then turn the camera on again."
                ),
                "NotFoundError": _("No camera was found. Connect one, then turn it on."),
                "NotReadableError": _(
                    "The camera cannot be used; perhaps another program has it. Close that, then turn it on."
                ),
                "OverconstrainedError": _("That camera is not there any more. Turn the camera on again."),
            },
        },
        on_finished_change=lambda: None,
    )
    job: int | None = result.finished
    return job
