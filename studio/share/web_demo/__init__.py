"""A page that answers in its visitor's browser: for a static host, as one file, and behind a link."""
