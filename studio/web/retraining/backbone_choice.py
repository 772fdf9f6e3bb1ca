"""Choosing a backbone: by name with what is known of it, or out of a table of all of them."""

import streamlit as st

from studio.collect.projects import Project
from studio.jobs import requests
from studio.language import _
from studio.retrain.backbones import BACKBONES, DEFAULT, Backbone, backbone_named
from studio.retrain.backbones.side_by_side import MOST_TOGETHER
from studio.retrain.backbones.speed import measured
from studio.settings import settings
from studio.web.state import database, now
from studio.web.words import file_size, percent, plain

_KEY = "retraining-backbones"
_MILLION, _BILLION = 1_000_000, 1_000_000_000


def choose(here: Project) -> str:
    """Draw the choice; return the backbone's name, several joined by "+".

    Raises BackboneError where what was chosen cannot stand side by side.
    """
    if _KEY not in st.session_state:
        st.session_state[_KEY] = [DEFAULT]
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    chosen = left.multiselect(
        _("Backbone"),
        sorted(BACKBONES, key=lambda name: not BACKBONES[name].installed),
        format_func=lambda name: BACKBONES[name].title,
        max_selections=MOST_TOGETHER,
        key=_KEY,
        help=_("The pretrained network. Several stand side by side: better features, and slower."),
    )
    if right.button(_("Compare all…"), icon=":material/table:", width="stretch"):
        st.dialog(_("Backbones"), width="large")(_all)(here)
    backbone = backbone_named("+".join(chosen) or DEFAULT)
    st.caption(_about(backbone))
    return backbone.name


def _about(backbone: Backbone) -> str:
    facts = backbone.facts
    parts = [
        file_size(backbone.size_bytes),
        _("{count} multiply-adds").format(count=_many(facts.multiply_adds)),
    ]
    if facts.top1 is not None:
        right = _("{share} of ImageNet right").format(share=percent(facts.top1 / 100))
        parts.append(f"[{right}]({facts.top1_source})" if facts.top1_source else right)
    speed = measured(settings().backbones_dir).get(backbone.name)
    if speed is not None:
        parts.append(_("{count} pictures/s on this machine").format(count=f"{speed:,.0f}"))
    if not backbone.installed:
        parts.append(_("its weights are fetched first: {told}").format(told=plain(backbone.source.told)))
    return " · ".join(parts)


def _all(here: Project) -> None:
    speeds = measured(settings().backbones_dir)
    names = sorted(BACKBONES, key=lambda name: (not BACKBONES[name].installed, name))
    found = [BACKBONES[name] for name in names]
    picked = st.dataframe(
        {
            _("name"): [backbone.title for backbone in found],
            _("here"): [backbone.installed for backbone in found],
            _("ImageNet"): [backbone.facts.top1 for backbone in found],
            **({_("pictures/s here"): [speeds.get(name) for name in names]} if speeds else {}),
            _("size, MB"): [backbone.size_bytes / _MILLION for backbone in found],
            _("multiply-adds, millions"): [backbone.facts.multiply_adds / _MILLION for backbone in found],
            _("input, px"): [backbone.preprocessing.width_px for backbone in found],
            _("features"): [backbone.features for backbone in found],
            _("published"): [backbone.facts.top1_source or None for backbone in found],
            _("licence"): [backbone.facts.licence for backbone in found],
        },
        column_config={
            _("ImageNet"): st.column_config.NumberColumn(
                format="%.1f%%", help=_("Of its validation pictures, how many the network gets right.")
            ),
            _("pictures/s here"): st.column_config.NumberColumn(
                format="%.0f",
                help=_("As measured on this machine, with nothing else at work."),
            ),
            _("size, MB"): st.column_config.NumberColumn(format="%.1f"),
            _("multiply-adds, millions"): st.column_config.NumberColumn(format="%.0f"),
            _("published"): st.column_config.LinkColumn(display_text=_("source")),
        },
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        width="stretch",
        height=420,
    )
    rows = picked.selection.rows
    use, measure = st.columns(2)
    if use.button(_("Use it"), type="primary", disabled=not rows, on_click=_take, args=(names, rows)):
        st.rerun()
    if measure.button(
        _("Measure them here"),
        icon=":material/speed:",
        help=_("How many pictures each of those that are here takes in a second: a few seconds each."),
    ):
        requests.measure_backbones(database(), here.id, now())
        st.rerun()


def _take(names: list[str], rows: list[int]) -> None:
    st.session_state[_KEY] = [names[row] for row in rows]


def _many(count: int) -> str:
    if count >= _BILLION:
        return _("{count} billion").format(count=f"{count / _BILLION:.1f}")
    return _("{count} million").format(count=f"{count / _MILLION:,.0f}")
