"""What a run is going to take and bring, told before it is asked for."""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from studio.collect.projects import Project
from studio.curate import overview
from studio.curate.overview import Stamp
from studio.errors import StudioError
from studio.language import _
from studio.retrain.backbones import BackboneFile, backbone_named
from studio.retrain.backbones.speed import measured
from studio.retrain.bottlenecks.cache import BottleneckCache
from studio.retrain.estimate import estimate
from studio.retrain.options import RunOptions
from studio.retrain.runs.project_snapshots import labelled
from studio.settings import settings
from studio.web.state import database
from studio.web.words import duration, pictures


def estimated(here: Project, several: Sequence[RunOptions], stamp: str) -> str:
    """Return what these runs should take on this machine, and what fine-tuning brought elsewhere, in words.

    stamp: another one where a run has ended since, which leaves bottlenecks.
    """
    with database().read() as session:
        labels = overview.stamp(session, here.id)
    first = several[0]
    try:
        count, missing = _seen(here.id, labels, first.backbone, stamp)
        counts = _dealt(count, first)
        speeds = measured(settings().backbones_dir)
        # The first computes the bottlenecks, the others find them there.
        found = [
            estimate(options, **counts, missing=0 if at else missing, speeds=speeds)
            for at, options in enumerate(several)
        ]
    except StudioError:
        return ""
    text = _("About {time} on this machine.").format(time=duration(sum(each.seconds for each in found)))
    if first.minutes is not None:
        text = _("At most {time}.").format(time=duration(found[0].seconds))
    elif missing:
        text += " " + _("The network has not looked at {pictures} yet.").format(pictures=pictures(missing))
    if found[0].gain_points:
        text += " " + _(
            "On 600 photographs of flowers it got {points} points more of the test right than the quick way."
        ).format(points=f"{found[0].gain_points:.1f}")
    return text


def _dealt(count: int, options: RunOptions) -> dict[str, int]:
    """Return about how many of so many pictures each split gets: near enough, and asks none of them."""
    validation = round(count * options.validation_percentage / 100)
    testing = round(count * options.testing_percentage / 100)
    return {"training": count - validation - testing, "validation": validation, "testing": testing}


@st.cache_data(max_entries=16, show_spinner=False)
def _seen(project_id: int, labels: Stamp, backbone_name: str, stamp: str) -> tuple[int, int]:
    """Return how many pictures are labelled, and how many of them have no bottleneck of the backbone.

    labels, stamp: only to be remembered by.
    """
    backbone = backbone_named(backbone_name)
    file = BackboneFile(
        Path(), backbone.name, backbone.fingerprint, backbone.preprocessing, backbone.features
    )
    cache = BottleneckCache.of(settings().bottleneck_dir, file)
    with database().read() as session:
        digests = labelled(session, project_id)
    return len(digests), len(digests) - cache.count(digests)
