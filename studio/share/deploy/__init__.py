"""A small app with one model, for hosts such as Streamlit Community Cloud and Hugging Face Spaces."""
