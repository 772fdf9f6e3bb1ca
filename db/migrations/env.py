"""Alembic's environment: migrations run on the connection that `db.migrate` opened and locked."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from db import models
from db.engine import Base, UtcDateTime


def _render(kind: str, thing: Any, _autogen: AutogenContext) -> str | Literal[False]:
    # A migration must not depend on models, which change later.
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(thing, UtcDateTime) else False


_TABLES = models  # importing them registers their tables with `Base`

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    render_item=_render,
)
context.run_migrations()
