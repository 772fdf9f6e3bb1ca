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
from studio.retrain.bottlenecks import BottleneckCache
from studio.retrain.estimate import estimate
from studio.retrain.options import RunOptions
from studio.retrain.project_snapshots import snapshot_of
from studio.settings import settings
from studio.web.state import database, store
from studio.web.words import duration, pictures

Digests = dict[str, list[str]]
"""SHA-256 of pictures by split."""


def estimated(here: Project, several: Sequence[RunOptions], stamp: str) -> str:
    """Return what these runs should take on this machine, and what fine-tuning brought elsewhere, in words.

    stamp: another one where a run has ended since, which leaves bottlenecks.
    """
    with database().read() as session:
        labels = overview.stamp(session, here.id)
    first = several[0]
    try:
        by_split = _by_split(here.id, labels, first)
        missing = _missing(here.id, labels, first, stamp)
        speeds = measured(settings().backbones_dir)
        counts = {split: len(digests) for split, digests in by_split.items()}
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


def _decisive(options: RunOptions) -> tuple[int, float, float, str]:
    """What decides which pictures fall on which side, and which of them the network has looked at."""
    return options.seed, options.validation_percentage, options.testing_percentage, options.backbone


@st.cache_data(max_entries=16, show_spinner=False, hash_funcs={RunOptions: _decisive})
def _by_split(project_id: int, labels: Stamp, options: RunOptions) -> Digests:
    with database().read() as session:
        snapshot = snapshot_of(session, project_id, options, store())
    found: Digests = {"training": [], "validation": [], "testing": []}
    for example in snapshot.examples:
        found[example.split].append(example.sha256)
    return found


@st.cache_data(max_entries=16, show_spinner=False, hash_funcs={RunOptions: _decisive})
def _missing(project_id: int, labels: Stamp, options: RunOptions, stamp: str) -> int:
    """How many pictures have no bottleneck of the backbone. stamp: only to be remembered by."""
    backbone = backbone_named(options.backbone)
    file = BackboneFile(
        Path(), backbone.name, backbone.fingerprint, backbone.preprocessing, backbone.features
    )
    cache = BottleneckCache.of(settings().bottleneck_dir, file)
    digests = [d for split in _by_split(project_id, labels, options).values() for d in split]
    return len(digests) - cache.count(digests)
