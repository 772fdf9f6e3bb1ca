"""What surrounds every page: title, navigation, look. Streamlit runs this script for each visit."""

from pathlib import Path

import streamlit as st

from studio.settings import settings
from studio.web.layout import dress, pages
from studio.web.middleware import let_in

# A file of our own: for a name of Material's every visit would ask Google's servers.
_ICON = Path(__file__).with_name("icon.svg")

st.set_page_config(page_title="Retrain Studio", page_icon=_ICON, layout="wide")
let_in(settings())
page = st.navigation(list(pages().values()), position="top")
dress()
page.run()
