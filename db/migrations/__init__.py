"""Alembic migrations. `HEAD` is the newest revision, so that a start need not read them all."""

HEAD = "0006"
