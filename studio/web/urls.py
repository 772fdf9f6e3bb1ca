"""URLs of images that the studio serves: thumbnails, images, previews of search hits."""


def thumbnail_url(sha256: str) -> str:
    """Return the URL of an image's thumbnail."""
    return f"/studio/thumbnails/{sha256}.jpg"


def image_url(sha256: str) -> str:
    """Return the URL of an image in a size and a format that browsers show."""
    return f"/studio/pictures/{sha256}"


def preview_url(name: str) -> str:
    """Return the URL of a search hit's preview."""
    return f"/studio/previews/{name}"
