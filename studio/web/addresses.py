"""Our own HTTP routes: thumbnails and images, by hash, kept by the browser for ever; uploads; labels."""


def thumbnail_address(sha256: str) -> str:
    """Return where an image's thumbnail is served."""
    return f"/studio/thumbnails/{sha256}.jpg"


def image_address(sha256: str) -> str:
    """Return where an image is served in a size and a format for looking at."""
    return f"/studio/pictures/{sha256}"


def preview_address(name: str) -> str:
    """Return where the small copy of a search's hit is served."""
    return f"/studio/previews/{name}"
