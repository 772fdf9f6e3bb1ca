"""The studio as an ASGI application: pages, our own routes, and the worker that lives as long as it."""

from studio.settings import settings
from studio.web.app import build

app = build(settings())
