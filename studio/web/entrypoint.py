"""Streamlit's entry point script: page configuration, login, navigation and CSS. It runs for each visit."""

from pathlib import Path

import streamlit as st

from studio.settings import settings
from studio.web.layout import apply_css, pages
from studio.web.middleware import require_login

# A local file: for the name of a Material icon, each visit would send a request to Google's servers.
_ICON = Path(__file__).with_name("icon.svg")

st.set_page_config(page_title="Retrain Studio", page_icon=_ICON, layout="wide")
require_login(settings())
page = st.navigation(list(pages().values()), position="top")
apply_css()
page.run()
