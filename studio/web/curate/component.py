"""The labelling grid: scripts and styles put together, and the place on the page where it stands."""

from pathlib import Path

import streamlit as st

from studio.datasets.projects import Project
from studio.web.curate.texts import grid_texts, more_texts

_HERE = Path(__file__).with_name("frontend")
_SCRIPTS = (
    "dom",
    "colours",
    "ids",
    "queue",
    "items",
    "walk_index",
    "selection",
    "filters",
    "facts",
    "tile",
    "grid",
    "acts",
    "follow",
    "chooser",
    "keys",
    "pointer",
    "look_closer",
    "side",
    "toolbar",
    "action_bar",
    "status",
    "help",
    "class_row",
    "class_dialog",
    "history",
    "map_points",
    "map_view",
    "map_paint",
    "map_images",
    "map_front",
    "map_legend",
    "map_gestures",
    "map",
    "looking",
    "undisturbed",
    "shell",
    "view",
    "curating",
)
"""In the order in which they stand in the one module that they are."""
_STYLES = ("curating", "look_closer", "map", "class_dialog", "history")


def _together(names: tuple[str, ...], ending: str) -> str:
    return "\n".join((_HERE / f"{name}.{ending}").read_text(encoding="utf-8") for name in names)


_component = st.components.v2.component(
    "curating",
    html='<div class="home"></div>',
    css=_together(_STYLES, "css"),
    js=_together(_SCRIPTS, "js"),
)


def curating(project: Project, *, key: str) -> None:
    """Draw the grid of a project's images. It fills the window's height and asks the studio by itself."""
    _component(
        key=key,
        data={
            # Labels that wait in a browser's storage are for this project of this data folder only.
            "place": f"{project.id}-{project.created_at.timestamp():.0f}",
            "base": f"/studio/projects/{project.id}",
            "texts": grid_texts() | more_texts(),
        },
    )
