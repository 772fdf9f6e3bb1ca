"""What surrounds every page: title, navigation, look. Streamlit runs this script for each visit."""

import streamlit as st

from studio.settings import settings
from studio.web.identity import let_in
from studio.web.look import dress
from studio.web.rooms import pages

st.set_page_config(page_title="Retrain Studio", page_icon=":material/local_florist:", layout="wide")
let_in(settings())
page = st.navigation(list(pages().values()), position="top")
dress()
page.run()
