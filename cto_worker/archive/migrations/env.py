"""Alembic's environment: runs migrations on the connection that the caller has begun a transaction on."""

from __future__ import annotations

from alembic import context

from cto_worker.archive.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
