"""The demo's page: `streamlit run app.py`."""

from pathlib import Path

import streamlit as st
from demo_model import DemoModel, NotAImage

SHOWN, SHOWN_PX = 5, 240


@st.cache_resource(show_spinner=False)
def opened() -> DemoModel:
    """Open the model once for all visitors."""
    return DemoModel(Path(__file__).parent)


def plain(text: str) -> str:
    """Return a text so that Markdown shows it letter by letter."""
    return "".join(f"\\{letter}" if letter in r"\`*_{}[]()<>#+-.!|~$:&@" else letter for letter in text)


model = opened()
about, texts = model.about, model.about["texts"]
st.set_page_config(page_title=about["name"], page_icon="🔎")
st.title(about["name"], anchor=False)
st.markdown(plain(texts["about"]))
files_tab, camera_tab = st.tabs([texts["files"], texts["camera"]])
uploads = files_tab.file_uploader(texts["drop"], accept_multiple_files=True)
with camera_tab:
    # A camera that is asked for is a camera that is on: it starts only when somebody wants it.
    shot = st.camera_input(texts["take"]) if st.toggle(texts["turn_on"]) else None

for upload in [*([shot] if shot else []), *uploads]:
    with st.container(border=True):
        try:
            answer = model.answer(upload.getvalue())
        except NotAImage:
            st.error(plain(texts["unreadable"].format(name=upload.name)), icon=":material/broken_image:")
            continue
        image, said = st.columns([1, 2], vertical_alignment="center")
        image.image(model.image(upload.getvalue()), width=SHOWN_PX)
        with said:
            label, probability = answer.classes[0]
            best = {"label": label, "share": f"{probability:.1%}"}
            st.markdown(f"### {plain(texts[answer.doubt or 'sure'].format(**best))}")
            for label, probability in answer.classes[:SHOWN]:
                st.progress(min(1.0, probability), text=f"{plain(label)} · {probability:.1%}")

with st.expander(texts["model"]):
    for name, value in about["facts"]:
        st.markdown(f"**{plain(name)}** {plain(value)}")
if about["credits"]:
    with st.expander(texts["credits"]):
        st.code(about["credits"], language=None, wrap_lines=True)
