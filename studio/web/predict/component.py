"""Giving an image by pasting it, and a camera whose images are answered as they come."""

import base64
import binascii
from pathlib import Path
from typing import Any

import streamlit as st

from studio.i18n import _

_HERE = Path(__file__).with_name("frontend")
_LARGEST_BYTES = 20_000_000


_SHARED = Path(__file__).parents[1] / "curate" / "frontend" / "dom.js"
_CAMERA = Path(__file__).parents[1] / "components" / "camera_stream.js"


def _component(name: str, *before: Path) -> Any:
    return st.components.v2.component(
        f"predicting_{name}",
        html='<div class="place"></div>',
        css=(_HERE / "predicting.css").read_text(encoding="utf-8"),
        js="\n".join(path.read_text(encoding="utf-8") for path in (_SHARED, *before, _HERE / f"{name}.js")),
    )


_pasting = _component("pasting")
_live = _component("live", _CAMERA)


def pasting(*, key: str) -> tuple[str, bytes] | None:
    """Draw a place to paste an image into; return the name and the bytes of one on the run after it came.

    Nothing is returned for what is no image, or larger than 20 MB; the place itself says so.
    """
    result = _pasting(
        key=key,
        data={
            "largest_bytes": _LARGEST_BYTES,
            "texts": {
                "paste": _("Paste an image here"),
                "about": _("Press Ctrl+V, or ⌘V, after a click here; or use the button."),
                "button": _("Paste from the clipboard"),
                "nothing": _("There is no image in the clipboard. Copy one, then paste it here."),
                "too_large": _(
                    "This image is larger than {most} MB. Save it and drop the file instead."
                ).format(most=_LARGEST_BYTES // 1_000_000),
                "refused": _("The browser does not let the page look there. Press Ctrl+V, or ⌘V, instead."),
                "name": _("pasted image"),
                "taken": _("Pasted."),
            },
        },
        on_image_change=lambda: None,
    )
    given = result.image
    if not given:
        return None
    try:
        data = base64.b64decode(given["data"], validate=True)
    except (KeyError, TypeError, binascii.Error):
        return None
    return (str(given.get("name", "")), data) if len(data) <= _LARGEST_BYTES else None


def live_camera(project_id: int, run_id: int, *, key: str) -> None:
    """Draw a camera under whose image stands what a run's model says of it, anew as fast as it answers."""
    _live(
        key=key,
        data={
            "key": key,
            "address": f"/studio/projects/{project_id}/runs/{run_id}/answer",
            "texts": {
                "live": _("What the camera sees"),
                "answers": _("What the model says"),
                "on": _("Start the live camera"),
                "off": _("Stop the live camera"),
                "which": _("Camera"),
                "nameless": _("Camera {number}"),
                "unsure": _("Not sure: perhaps {label}"),
                "strange": _("It is like nothing in the training images."),
                "speed": _("{count} images a second, {ms} ms each"),
                "away": _("The studio does not answer. Trying again."),
                "insecure": _(
                    "Browsers give a camera only to pages on the same machine or behind https. Open the "
                    "studio at http://127.0.0.1 on the machine that has the camera."
                ),
                "gone": _("The camera is gone. Connect it again, then start it."),
                "broken": _("The camera does not start: {why}."),
                "NotAllowedError": _(
                    "This page may not use the camera. Allow it beside the page's address or in the system's "
                    "settings, then start it again."
                ),
                "NotFoundError": _("No camera was found. Connect one, then start it."),
                "NotReadableError": _(
                    "The camera cannot be used; perhaps another program has it. Close that, then start it."
                ),
                "OverconstrainedError": _("That camera is not there any more. Start it again."),
            },
        },
    )
