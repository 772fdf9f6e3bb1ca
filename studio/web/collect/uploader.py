"""Upload of files and folders of any number and any size into a project."""

from pathlib import Path

from studio.i18n import _
from studio.web.assets import register_component

_FRONTEND = Path(__file__).with_name("frontend")


def texts() -> dict[str, str]:
    """Return the texts of an upload session."""
    return {
        "waiting": _("The studio does not answer. Trying again; uploaded files are kept."),
        "again": _("Try again"),
        "cancel": _("Cancel"),
        "lost": _("Uploaded files were removed meanwhile. Try again."),
        "unreadable": _("None of these files can be read. Were they moved or changed? Choose them again."),
        "secret": _("You are no longer logged in. Reload the page and enter the secret."),
        "refused": _("The studio rejected these files. Reload the page and try again."),
    }


_component = register_component(
    "uploader",
    html='<div class="place"></div>',
    css=_FRONTEND / "uploader.css",
    entry=_FRONTEND / "uploader.js",
)


def draw_uploader(project_id: int, class_name: str | None, *, key: str) -> int | None:
    """Draw a drop zone for files; return the id of the job that imports them, on the run after the upload.

    `class_name` is for images in no class folder. An upload belongs to the browser's tab and to `key`: it
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
                    "Folder names become classes. Archives: .zip, .tar, .tgz and similar. Any number, any "
                    "size; interrupted uploads resume."
                ),
                "choose_files": _("Choose files"),
                "choose_folder": _("Choose a folder"),
                "aim": _("Images outside folders get the class {class_name}."),
                "aimless": _("Images outside folders stay unlabelled."),
                "looking": _("Reading the folders…"),
                "nothing": _("There are no files in this folder."),
                "progress": _("Upload progress"),
                "sending": _(
                    "Uploading files: {count}, {bytes} in total. Keep this tab open; you can use other pages."
                ),
                "finishing": _("Uploaded. Starting the import…"),
                "done": _("Files uploaded: {count}, {bytes} in total."),
                "left_out": _("Files skipped because they cannot be read: {count} ({name}, …)."),
                "cancelled": _("Upload cancelled. No image was added."),
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
