"""How Alembic meets the database: always through a connection that `db.migrate` opened and locked."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from db import models
from db.engine import Base, UtcDateTime


def _render(kind: str, thing: Any, _autogen: AutogenContext) -> str | Literal[False]:
    # A migration must not depend on models, which go on changing after it.
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(thing, UtcDateTime) else False


_TABLES = (
    models,
    models,
    models,
    models,
)  # importing them is what tells `Base` of their tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    render_item=_render,
)
context.run_migrations()
