"""Streamlit components that several pages share, in plain JavaScript without a build step."""
