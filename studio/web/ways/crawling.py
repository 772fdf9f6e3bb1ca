"""Asking for a crawl."""

import streamlit as st

from studio.collect.web.plan import DEEPEST, Plan
from studio.errors import StudioError
from studio.jobs import requests
from studio.language import _
from studio.web.state import database, now
from studio.web.words import plain


def draw(project_id: int, class_name: str | None) -> None:
    """Draw the form, and queue the crawl that it asks for."""
    with st.form("crawl", border=False):
        addresses = st.text_area(
            _("Addresses of pages, one a line"),
            placeholder="https://…/gallery",
            height=100,
        )
        depth = st.segmented_control(
            _("Pages to read"),
            range(DEEPEST + 1),
            default=1,
            required=True,
            format_func=_depth,
            width="stretch",
        )
        with st.expander(_("Limits and other sites")):
            first, second = st.columns(2)
            max_pictures = first.number_input(_("Pictures at most"), 1, 100_000, 500)
            max_pages = second.number_input(_("Pages at most"), 1, 100_000, 200)
            min_side_px = first.number_input(_("Shorter side at least, in pixels"), 0, 10_000, 100)
            max_minutes = second.number_input(_("Minutes at most"), 1, 24 * 60, 60)
            max_megabytes = first.number_input(_("Megabytes at most"), 1, 1_000_000, 2_000)
            sites = second.text_input(
                _("Other hosts whose pages are read"),
                placeholder="blog.example.org, …",
                help=_("Links are followed on the hosts of your addresses and on these. "
                       "Pictures are fetched wherever the pages show them from."),
            )  # fmt: skip
        st.caption(
            _(
                "Sites are asked gently: robots.txt, noai and no-index rules are kept, and each picture "
                "keeps its page, author and licence. Look at the licence before you share what comes of it."
            )
        )
        if not st.form_submit_button(_("Crawl"), type="primary", icon=":material/travel_explore:"):
            return
    plan = Plan(
        tuple(addresses.split()),
        class_name,
        depth,
        tuple(sites.replace(",", " ").split()),
        int(max_pages),
        int(max_pictures),
        int(max_megabytes) * 1_000_000,
        float(max_minutes),
        int(min_side_px),
    )
    try:
        requests.crawl(database(), project_id, plan, now())
    except StudioError as error:
        st.error(plain(str(error)), icon=":material/error:")
    else:
        st.rerun()


def _depth(depth: int) -> str:
    return {
        0: _("these pages"),
        1: _("and what they link to"),
        2: _("two links away"),
        3: _("three links away"),
    }[depth]
