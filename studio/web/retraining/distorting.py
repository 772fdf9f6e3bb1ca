"""Choosing distortions, and seeing what the network will be shown."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import streamlit as st

from studio.collect.projects import Project
from studio.curate.filters import Filter
from studio.curate.grid import picture
from studio.curate.walk import walk
from studio.errors import PictureRefused, StudioError
from studio.language import _
from studio.retrain.backbones import backbone_named
from studio.retrain.bottlenecks.distortions import Distortions, preview
from studio.retrain.options import RunOptions
from studio.web.state import database, store
from studio.web.words import plain

_SHOWN_PICTURES, _SHOWN_VIEWS = 3, 6
_GAP_PX = 6


def choose(here: Project, options: RunOptions) -> RunOptions:
    """Draw the distortions and, where any is chosen, some pictures so distorted; return the options."""
    st.markdown("**" + _("Distortions") + "**")
    st.caption(
        _("Copies of the training pictures, changed by chance, so that the model minds such changes less.")
    )
    flip = st.checkbox(_("Flip left and right"))
    left, middle, right = st.columns(3)
    chosen = replace(
        options,
        flip_left_right=flip,
        random_crop=left.slider(_("Crop, percent"), 0, 90, 0, step=5),
        random_scale=middle.slider(_("Scale, percent"), 0, 100, 0, step=5),
        random_brightness=right.slider(_("Brightness, percent"), 0, 100, 0, step=5),
    )
    left, middle, right = st.columns(3)
    chosen = replace(
        chosen,
        random_rotation=left.slider(_("Rotation, degrees"), 0, 180, 0, step=5),
        random_colour=middle.slider(_("Colour, percent"), 0, 95, 0, step=5),
    )
    distortions = Distortions.of(chosen)
    if distortions is None:
        return chosen
    views = right.number_input(
        _("Views of each picture"),
        1,
        50,
        options.distorted_views,
        help=_("Each is computed once and kept, so that training takes hardly longer."),
    )
    try:
        st.image(
            _seen(here.id, chosen.backbone, distortions, int(chosen.seed)),
            caption=_("What the network will see: a row a picture."),
            width="stretch",
        )
    except StudioError as error:
        st.warning(plain(str(error)))
    return replace(chosen, distorted_views=int(views))


@st.cache_data(max_entries=8, show_spinner=False)
def _seen(project_id: int, backbone: str, distortions: Distortions, seed: int) -> npt.NDArray[np.uint8]:
    """Return one picture of several views: uint8, (h, w, 4), a row a picture, with nothing between."""
    preprocessing = backbone_named(backbone).preprocessing
    with database().read() as session:
        ids = walk(session, project_id, "newest", Filter(state="labelled")).ids
        apart = ids[:: max(1, len(ids) // _SHOWN_PICTURES)][:_SHOWN_PICTURES]
        found = [picture(session, project_id, image_id) for image_id in apart]
    rows = []
    for each in filter(None, found):
        try:
            path = store().original(each.sha256, each.format)
            rows.append(_row(preview(path, distortions, preprocessing, _SHOWN_VIEWS, seed)))
        except (OSError, PictureRefused):
            continue  # a lost file is told of when the run comes to it
    if not rows:
        raise StudioError(_("No labelled picture can be read to show it distorted."))
    return np.concatenate([np.pad(row, ((0, _GAP_PX), (0, 0), (0, 0))) for row in rows])


def _row(views: list[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    solid = [np.pad(view, ((0, 0), (0, 0), (0, 1)), constant_values=255) for view in views]
    return np.concatenate([np.pad(view, ((0, 0), (0, _GAP_PX), (0, 0))) for view in solid], axis=1)
