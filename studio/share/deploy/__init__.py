"""A small app with one model, for hosts of such apps: Streamlit Community Cloud, Hugging Face Spaces."""
