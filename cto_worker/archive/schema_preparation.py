"""The preparation of the archive's schema when a process starts."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from cto_worker.archive.database import SQLITE, database_errors
from cto_worker.archive.schema_version import VERSIONS, version_of

if TYPE_CHECKING:
    from sqlalchemy import Engine


def prepare(engine: Engine, wait_s: float | None = None) -> None:
    """Migrate an SQLite database, which belongs to this system alone. PostgreSQL needs ``cto migrate``.

    Waits ``wait_s`` for another process that migrates; by default as long as a migration may take. Raises
    :class:`ArchiveUnavailableError`.
    """
    if engine.dialect.name != SQLITE:
        return
    with database_errors(), engine.connect() as connection:
        version = version_of(connection)
    if version != VERSIONS[-1]:
        # Imported only now: Alembic takes a fifth of the start of a process, and most find the newest schema.
        migration = import_module("cto_worker.archive.schema_migration")
        migration.migrate(engine, migration.WAIT_S if wait_s is None else wait_s)
