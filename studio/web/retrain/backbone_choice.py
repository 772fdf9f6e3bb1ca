"""The choice of a backbone: a select box, a caption with its facts, and a table of all backbones."""

import streamlit as st

from studio.backbones import BACKBONES, DEFAULT, Backbone, get_backbone
from studio.backbones.concatenated import MAX_MEMBERS
from studio.backbones.speed import read_speeds
from studio.datasets.projects import Project
from studio.i18n import _
from studio.retrain import tasks
from studio.settings import settings
from studio.web.state import database, now
from studio.web.text import escape_markdown, format_percent, format_size

_KEY = "backbones"
_MILLION, _BILLION = 1_000_000, 1_000_000_000


def choose_backbone(project: Project) -> str:
    """Draw the choice; return the backbone's name, several joined by "+".

    Raises BackboneError where the chosen backbones cannot be concatenated.
    """
    if _KEY not in st.session_state:
        st.session_state[_KEY] = [DEFAULT]
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    chosen = left.multiselect(
        _("Backbone"),
        sorted(BACKBONES, key=lambda name: not BACKBONES[name].installed),
        format_func=lambda name: BACKBONES[name].title,
        max_selections=MAX_MEMBERS,
        key=_KEY,
        help=_(
            "Pretrained network (default {default}). The features of several backbones are concatenated: "
            "often more accurate, always slower."
        ).format(default=BACKBONES[DEFAULT].title),
    )
    if right.button(_("Compare backbones"), icon=":material/table:", width="stretch"):
        st.dialog(_("Backbones"), width="large")(_draw_table)(project)
    backbone = get_backbone("+".join(chosen) or DEFAULT)
    st.caption(_facts_text(backbone))
    return backbone.name


def _facts_text(backbone: Backbone) -> str:
    info = backbone.info
    parts = [
        format_size(backbone.size_bytes),
        _("{count} multiply-adds").format(count=_format_large(info.multiply_adds)),
    ]
    if info.top1 is not None:
        accuracy = _("ImageNet accuracy {accuracy}").format(accuracy=format_percent(info.top1 / 100))
        parts.append(f"[{accuracy}]({info.top1_source})" if info.top1_source else accuracy)
    speed = read_speeds(settings().backbones_dir).get(backbone.name)
    if speed is not None:
        parts.append(_("{count} images/s on this computer").format(count=f"{speed:,.0f}"))
    if not backbone.installed:
        parts.append(
            _("weights are downloaded first: {source}").format(
                source=escape_markdown(backbone.source.description)
            )
        )
    return " · ".join(parts)


def _draw_table(project: Project) -> None:
    """Draw all backbones as a table, with buttons to choose one and to measure their speed."""
    speeds = read_speeds(settings().backbones_dir)
    names = sorted(BACKBONES, key=lambda name: (not BACKBONES[name].installed, name))
    backbones = [BACKBONES[name] for name in names]
    table = st.dataframe(
        {
            _("name"): [backbone.title for backbone in backbones],
            _("installed"): [backbone.installed for backbone in backbones],
            _("ImageNet accuracy"): [backbone.info.top1 for backbone in backbones],
            **({_("images/s"): [speeds.get(name) for name in names]} if speeds else {}),
            _("size, MB"): [backbone.size_bytes / _MILLION for backbone in backbones],
            _("multiply-adds, millions"): [backbone.info.multiply_adds / _MILLION for backbone in backbones],
            _("input, px"): [backbone.preprocessing.width_px for backbone in backbones],
            _("features"): [backbone.features for backbone in backbones],
            _("published"): [backbone.info.top1_source or None for backbone in backbones],
            _("licence"): [backbone.info.licence for backbone in backbones],
        },
        column_config={
            _("ImageNet accuracy"): st.column_config.NumberColumn(
                format="%.1f%%", help=_("Top-1 accuracy on the ImageNet validation images.")
            ),
            _("images/s"): st.column_config.NumberColumn(
                format="%.0f",
                help=_("Measured on this computer while no job was running."),
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
    rows = table.selection.rows
    use, measure = st.columns(2)
    if use.button(
        _("Use this backbone"), type="primary", disabled=not rows, on_click=_select, args=(names, rows)
    ):
        st.rerun()
    if measure.button(
        _("Measure speed"),
        icon=":material/speed:",
        help=_("Measures how many images per second each installed backbone embeds; a few seconds each."),
    ):
        tasks.enqueue_backbone_measurement(database(), project.id, now())
        st.rerun()


def _select(names: list[str], rows: list[int]) -> None:
    st.session_state[_KEY] = [names[row] for row in rows]


def _format_large(count: int) -> str:
    if count >= _BILLION:
        return _("{count} billion").format(count=f"{count / _BILLION:.1f}")
    return _("{count} million").format(count=f"{count / _MILLION:,.0f}")
