"""The studio as an ASGI application: pages, routes, and a worker that runs as long as the server."""

from studio.settings import settings
from studio.web.app import create_app

app = create_app(settings())
