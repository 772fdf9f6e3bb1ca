"""The board of a project's runs: curves, list, results and differences, as one component."""

from pathlib import Path
from urllib.parse import urlencode

import streamlit as st

from studio.collect.projects import Project
from studio.web.components.retraining_texts import texts

_HERE = Path(__file__).with_name("retraining")
_SHARED = Path(__file__).with_name("curating")
_SCRIPTS = (
    _SHARED / "dom.js",
    _SHARED / "colours.js",
    *(
        _HERE / f"{name}.js"
        for name in (
            "smoothing",
            "curve_store",
            "scale",
            "plot",
            "curves",
            "run_table",
            "result_charts",
            "results",
            "difference",
            "naming",
            "board",
        )
    ),
)
"""In the order in which they stand in the one module that they are."""

_component = st.components.v2.component(
    "retraining",
    html='<div class="home"></div>',
    css=(_HERE / "retraining.css").read_text(encoding="utf-8"),
    js="\n".join(path.read_text(encoding="utf-8") for path in _SCRIPTS),
)


def retraining(project: Project, *, stamp: str, key: str) -> None:
    """Draw the board of a project's runs. It asks the studio by itself.

    stamp: another one where the page knows that a run has begun or ended.
    """
    _component(
        key=key,
        data={
            # A browser knows a studio by its address only; another data folder has the same numbers.
            "place": f"{project.id}-{project.created_at.timestamp():.0f}",
            "base": f"/studio/projects/{project.id}",
            "curate": f"/curate?{urlencode({'project': project.name})}",
            "texts": texts(),
            "stamp": stamp,
        },
        on_acted_change=lambda: None,
    )
