"""The labelling grid, as a component."""

from pathlib import Path

from studio.datasets.projects import Project
from studio.web.assets import register_component
from studio.web.curate.texts import dialog_texts, grid_texts

_FRONTEND = Path(__file__).with_name("frontend")
_component = register_component(
    "curating",
    html='<div class="home"></div>',
    css=_FRONTEND / "curate.css",
    entry=_FRONTEND / "curate_view.js",
)


def draw_labelling_grid(project: Project, *, key: str) -> None:
    """Draw the grid of a project's images. It fills the window's height."""
    _component(
        key=key,
        data={
            # Labels that wait in a browser's storage are for this project of this data folder only.
            "place": f"{project.id}-{project.created_at.timestamp():.0f}",
            "base": f"/studio/projects/{project.id}",
            "texts": grid_texts() | dialog_texts(),
        },
    )
