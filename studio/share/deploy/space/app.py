"""The demo app: `streamlit run app.py`."""

from pathlib import Path

import streamlit as st
from demo_model import DemoModel, NotAnImage

SHOWN, SHOWN_PX = 5, 240


@st.cache_resource(show_spinner=False)
def load_model() -> DemoModel:
    """Load the model once for all visitors."""
    return DemoModel(Path(__file__).parent)


def escape_markdown(text: str) -> str:
    """Return a text with Markdown's special characters escaped."""
    return "".join(f"\\{char}" if char in r"\`*_{}[]()<>#+-.!|~$:&@" else char for char in text)


model = load_model()
about, texts = model.about, model.about["texts"]
st.set_page_config(page_title=about["name"], page_icon="🔎")
st.title(about["name"], anchor=False)
st.markdown(escape_markdown(texts["about"]))
files_tab, camera_tab = st.tabs([texts["files"], texts["camera"]])
uploads = files_tab.file_uploader(texts["drop"], accept_multiple_files=True)
with camera_tab:
    # Streamlit turns the camera on as soon as it draws the input, so draw it only when wanted.
    photo = st.camera_input(texts["take"]) if st.toggle(texts["turn_on"]) else None

for upload in [*([photo] if photo else []), *uploads]:
    with st.container(border=True):
        try:
            prediction = model.predict(upload.getvalue())
        except NotAnImage:
            st.error(
                escape_markdown(texts["unreadable"].format(name=upload.name)), icon=":material/broken_image:"
            )
            continue
        image_column, text_column = st.columns([1, 2], vertical_alignment="center")
        image_column.image(model.read_image(upload.getvalue()), width=SHOWN_PX)
        with text_column:
            label, probability = prediction.classes[0]
            best = {"label": label, "share": f"{probability:.1%}"}
            st.markdown(f"### {escape_markdown(texts[prediction.abstention or 'sure'].format(**best))}")
            for label, probability in prediction.classes[:SHOWN]:
                st.progress(min(1.0, probability), text=f"{escape_markdown(label)} · {probability:.1%}")

with st.expander(texts["model"]):
    for name, value in about["facts"]:
        st.markdown(f"**{escape_markdown(name)}** {escape_markdown(value)}")
if about["credits"]:
    with st.expander(texts["credits"]):
        st.code(about["credits"], language=None, wrap_lines=True)
