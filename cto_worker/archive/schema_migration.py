"""The migration of the archive's schema to this release's version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from cto_worker.archive.database import EXCLUSIVE, POSTGRESQL, database_errors
from cto_worker.archive.schema_version import MIGRATION_LOCK, VERSIONS, check_not_newer, version_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

WAIT_S = 600.0  # for another process that migrates SQLite: a large archive on a slow disk takes minutes


def migrate(engine: Engine, wait_s: float = WAIT_S) -> tuple[str, str]:
    """Bring the schema to this release's version. Returns the versions before and after; "" without tables.

    Several processes may do so at the same time: one migrates, the others wait, with SQLite up to ``wait_s``.
    Raises :class:`ArchiveUnavailableError` if the database is unreachable or has the schema of a later
    release, or if the wait was too short; nothing was then changed.
    """
    exclusive = engine.execution_options(**{EXCLUSIVE: wait_s})
    with database_errors(), exclusive.begin() as connection:
        if engine.dialect.name == POSTGRESQL:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": MIGRATION_LOCK})
        before = version_of(connection)
        check_not_newer(before)
        if before == VERSIONS[-1]:
            return before, before
        config = Config()
        folder = str(Path(__file__).parent / "migrations")
        config.set_main_option("script_location", folder.replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        return before, version_of(connection)
