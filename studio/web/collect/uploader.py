"""Sending files and folders of any number and any size into a project."""

from pathlib import Path

import streamlit as st

from studio.i18n import _

_HERE = Path(__file__).with_name("frontend")


def script(*names: str) -> str:
    """Return a component's scripts with the one that sends before them: without a build step they are one."""
    return "\n".join((_HERE / file).read_text(encoding="utf-8") for file in ("sending.js", *names))


def texts() -> dict[str, str]:
    """Return what is said while files are sent."""
    return {
        "waiting": _("The studio does not answer. Trying again; nothing that has arrived is lost."),
        "again": _("Try again"),
        "cancel": _("Cancel"),
        "lost": _("Files that had arrived are not there any more. Try again."),
        "unreadable": _("None of these files can be read. Were they moved or changed? Choose them again."),
        "secret": _("The studio asks for its secret again: reload the page and enter it."),
        "refused": _("The studio did not take these files. Reload the page and try again."),
    }


_component = st.components.v2.component(
    "uploader",
    html='<div class="place"></div>',
    css=(_HERE / "uploader.css").read_text(encoding="utf-8"),
    js=script("uploader.js"),
)


def uploader(project_id: int, class_name: str | None, *, key: str) -> int | None:
    """Draw a place to drop files on; return the job that takes them in, on the run after they have arrived.

    `class_name` is for images in no class folder. A sending belongs to the browser's tab and to `key`: it
    goes on while the page runs again or another one is open.
    """
    result = _component(
        key=key,
        data={
            "key": key,
            "project": project_id,
            "class_name": class_name,
            "texts": texts()
            | {
                "uploader": _("Files and folders"),
                "drop": _("Drop images, folders or archives here"),
                "about": _(
                    "Folders become classes. Archives: .zip, .tar, .tgz and the like. Any number, any size: "
                    "what is cut off goes on where it stopped."
                ),
                "choose_files": _("Choose files"),
                "choose_folder": _("Choose a folder"),
                "aim": _("Images in no folder get the class {class_name}."),
                "aimless": _("Images in no folder wait for a label."),
                "looking": _("Looking through the folders…"),
                "nothing": _("There was no file in that."),
                "progress": _("How much is sent"),
                "sending": _(
                    "Sending files: {count}, {bytes} in all. Keep this tab open; other rooms may be used."
                ),
                "finishing": _("All sent. Handing over…"),
                "done": _("Files arrived and handed over: {count}, {bytes} in all."),
                "left_out": _("Could not be read and were left out: {count} ({name}, …)."),
                "cancelled": _("Cancelled. Nothing was taken in."),
                "files": _("files: {done} of {total}"),
                "bytes": _("{done} of {total}"),
                "left": _("about {time} left"),
                "seconds": _("{count} s"),
                "minutes": _("{count} min"),
                "hours": _("{count} h"),
            },
        },
        on_finished_change=lambda: None,
    )
    job: int | None = result.finished
    return job
