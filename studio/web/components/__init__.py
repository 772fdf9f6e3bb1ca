"""Parts of pages written in plain JavaScript and CSS, without a build step."""
