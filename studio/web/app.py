"""The web application: Streamlit's pages, our routes, the gate, and the worker's life."""

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
from studio.web.jobs_panel import show_fault
from studio.web.middleware import Gate, IdentityGate, send_at_once
from studio.web.retrain.tensorboard import TensorBoards
from studio.web.routes import routes
from studio.web.share.app import Apart, Tally, sharing_app
from studio.web.state import now
from studio.worker.supervisor import Supervisor

_SHELL = Path(__file__).with_name("shell.py")
_OWN_NAMES = ["127.0.0.1", "localhost"]


def build(settings: Settings) -> st.App:
    """Return the application for these settings; the data folder is opened when it starts.

    Without a secret only this machine's own names are answered, so that no page elsewhere can reach the
    studio by giving its own name this machine's address (DNS rebinding). Links to models are apart from that:
    whoever has one is answered under any name, and reaches nothing else.
    """

    boards = TensorBoards(settings)
    database = Database(settings.sqlalchemy_url)
    tally = Tally(database, now)

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[dict[str, Any]]:
        send_at_once()
        open_database(settings).close()
        remove_unfinished(settings.uploads_dir, now())
        supervisor = Supervisor(settings)
        supervisor.start()
        try:
            yield {}
        finally:
            supervisor.stop()
            boards.stop()
            tally.write()

    return st.App(
        _SHELL,
        routes=routes(settings, boards),
        lifespan=lifespan,
        middleware=[Middleware(Apart, sharing=sharing_app(settings, database, tally)), _guard(settings)],
        on_script_error=show_fault,
    )


def _guard(settings: Settings) -> Middleware:
    if settings.permitted_users:
        return Middleware(IdentityGate, settings=settings)
    if settings.secret:
        return Middleware(Gate, secret=settings.secret)
    return Middleware(TrustedHostMiddleware, allowed_hosts=_OWN_NAMES, www_redirect=False)
