"""The web application: Streamlit's pages, the studio's routes, authentication, and the worker's lifespan."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from db.engine import Database
from studio.data import open_database
from studio.settings import Settings
from studio.web.collect.uploads import remove_unfinished
from studio.web.jobs_panel import show_error
from studio.web.middleware import LoginAuth, SharedSecretAuth, enable_tcp_nodelay
from studio.web.retrain.tensorboard import TensorBoards
from studio.web.routes import routes
from studio.web.share.app import LinkCounters, ShareMiddleware, share_app
from studio.web.state import now
from studio.worker.supervisor import Supervisor

_ENTRYPOINT = Path(__file__).with_name("entrypoint.py")
_LOOPBACK_HOSTS = ["127.0.0.1", "localhost"]


def create_app(settings: Settings) -> st.App:
    """Return the ASGI application for these settings; the data folder is opened when it starts.

    Without authentication only requests to loopback host names are answered, so that no other site can reach
    the studio by DNS rebinding. Share links are exempt: they are answered under any host name, and give
    access to nothing else.
    """

    tensorboards = TensorBoards(settings)
    database = Database(settings.sqlalchemy_url)
    counters = LinkCounters(database, now)

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[dict[str, Any]]:
        enable_tcp_nodelay()
        open_database(settings).close()
        remove_unfinished(settings.uploads_dir, now())
        supervisor = Supervisor(settings)
        supervisor.start()
        try:
            yield {}
        finally:
            supervisor.stop()
            tensorboards.stop()
            counters.write()

    return st.App(
        _ENTRYPOINT,
        routes=routes(settings, tensorboards),
        lifespan=lifespan,
        middleware=[
            Middleware(ShareMiddleware, sharing=share_app(settings, database, counters)),
            _authentication(settings),
        ],
        on_script_error=show_error,
    )


def _authentication(settings: Settings) -> Middleware:
    if settings.permitted_users:
        return Middleware(LoginAuth, settings=settings)
    if settings.secret:
        return Middleware(SharedSecretAuth, secret=settings.secret)
    return Middleware(TrustedHostMiddleware, allowed_hosts=_LOOPBACK_HOSTS, www_redirect=False)
