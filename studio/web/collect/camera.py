"""Photos from a camera, taken while a button is held and uploaded into a class."""

from pathlib import Path

from studio.i18n import _
from studio.web.assets import register_component
from studio.web.collect import uploader

_FRONTEND = Path(__file__).with_name("frontend")
_component = register_component(
    "camera",
    html='<div class="place"></div>',
    css=_FRONTEND / "camera.css",
    entry=_FRONTEND / "camera.js",
)


def draw_camera(project_id: int, class_name: str | None, *, key: str, interval_ms: int = 200) -> int | None:
    """Draw a camera that takes a photo every `interval_ms` (100 to 2000) while its button is held.

    Each burst is uploaded when it ends, into `class_name`; without a class the button is disabled. Returns
    the id of the job that imports a burst, on the run of the page after its upload.
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
                "live": _("Camera image"),
                "on": _("Turn the camera on"),
                "off": _("Turn the camera off"),
                "which": _("Camera"),
                "nameless": _("Camera {number}"),
                "every": _("Interval between photos (ms)"),
                "review": _("Review photos before uploading"),
                "class_first": _("Choose or type the class for these photos first, above."),
                "hold_any": _("Hold to take photos"),
                "hold": _("Hold to take photos of {class_name}"),
                "strip": _("Latest photos"),
                "leave_out": _("Leave out photo {number}"),
                "send": _("Upload {count}"),
                "discard": _("Discard"),
                "sending": _("Uploading photos of {class_name}: {count}"),
                "sent": _("Photos uploaded: {count}."),
                "insecure": _(
                    "Browsers allow a camera only on pages from this computer or over https. Open the studio "
                    "at http://127.0.0.1 on the computer that has the camera, or take the photos with "
                    "another program and add them as files."
                ),
                "gone": _("The camera was disconnected. Connect it, then turn it on again."),
                "broken": _("The camera did not start: {why}."),
                "NotAllowedError": _(
                    "This page may not use the camera. Allow it beside the page's address or in the system "
                    "settings, then turn the camera on again."
                ),
                "NotFoundError": _("No camera was found. Connect one, then turn it on."),
                "NotReadableError": _(
                    "The camera cannot be used; another program may be using it. Close that program, then "
                    "turn the camera on."
                ),
                "OverconstrainedError": _("This camera is no longer connected. Turn the camera on again."),
            },
        },
        on_finished_change=lambda: None,
    )
    job: int | None = result.finished
    return job
