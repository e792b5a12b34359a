"""Migrates the archive's database to this release's schema, and checks the schema's version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from cto_worker.archive.database import EXCLUSIVE, POSTGRESQL, SQLITE, database_errors
from cto_worker.errors import ArchiveUnavailableError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_LOCK_ID = 0x63746F5F617263  # of PostgreSQL's advisory lock; any number that no other program uses


def migrate(engine: Engine) -> tuple[str, str]:
    """Bring the schema to this release's version. Returns the versions before and after; "" without tables.

    Several processes may do so at the same time: one migrates, the others wait. Raises
    :class:`ArchiveUnavailableError` if the database is unreachable or has the schema of a later release;
    nothing was then changed.
    """
    exclusive = engine.execution_options(**{EXCLUSIVE: True})
    with database_errors(), exclusive.begin() as connection:
        if engine.dialect.name == POSTGRESQL:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": _LOCK_ID})
        before = _version(connection)
        _check_not_newer(before)
        if before == _revisions()[-1]:
            return before, before
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        return before, _version(connection)


def check_schema(engine: Engine) -> None:
    """Raise :class:`ArchiveUnavailableError` unless the schema is that of this release."""
    with database_errors(), engine.connect() as connection:
        version = _version(connection)
    _check_not_newer(version)
    if version != (newest := _revisions()[-1]):
        state = f"has version {version}, but this release needs {newest}" if version else "is empty"
        raise ArchiveUnavailableError(f"the archive's database {state}: run `cto migrate`")


def prepare(engine: Engine) -> None:
    """Migrate an SQLite database, which belongs to this system alone. PostgreSQL needs ``cto migrate``."""
    if engine.dialect.name == SQLITE:
        migrate(engine)


def _version(connection: Connection) -> str:
    return MigrationContext.configure(connection).get_current_revision() or ""


def _check_not_newer(version: str) -> None:
    if version and version not in _revisions():
        raise ArchiveUnavailableError(
            f"the archive's database has version {version}, which this release does not know (it knows up to "
            f"{_revisions()[-1]}): a later release has migrated it, so upgrade this process"
        )


def _revisions() -> list[str]:
    """Return the versions that this release knows, oldest first."""
    scripts = ScriptDirectory.from_config(_config())
    return [script.revision for script in scripts.walk_revisions()][::-1]


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
