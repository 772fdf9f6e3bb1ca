"""What the uploader and the camera share: the script that sends, and what it says."""

from pathlib import Path

from studio.language import _

_HERE = Path(__file__).parent


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
