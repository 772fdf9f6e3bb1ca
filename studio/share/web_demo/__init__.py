"""A page that runs a model in the visitor's browser: on a static host, as one file, behind a share link."""
