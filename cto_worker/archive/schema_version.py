"""The version of the archive's schema, its check, and transactions that depend on it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from cto_worker.archive.database import BUSY_S, EXCLUSIVE, POSTGRESQL, database_errors
from cto_worker.errors import ArchiveUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

# The versions that this release knows, oldest first: one of each migration.
VERSIONS = ("1", "2", "3", "4", "5")
MIGRATION_LOCK = 0x63746F5F617263  # of PostgreSQL's advisory lock; any number that no other program uses
_TABLE = "alembic_version"


def check_schema(engine: Engine) -> None:
    """Raise :class:`ArchiveUnavailableError` unless the schema is that of this release."""
    with database_errors(), engine.connect() as connection:
        version = version_of(connection)
    _check(version)


@contextmanager
def write_transaction(engine: Engine) -> Iterator[Connection]:
    """Yield a transaction that no migration can run beside, in the schema of this release.

    During an upgrade, a worker of an earlier release would otherwise write rows without what a migration has
    added, such as new totals. Raises :class:`ArchiveUnavailableError`.
    """
    with database_errors(), engine.execution_options(**{EXCLUSIVE: BUSY_S}).begin() as connection:
        if engine.dialect.name == POSTGRESQL:
            connection.execute(text("SELECT pg_advisory_xact_lock_shared(:id)"), {"id": MIGRATION_LOCK})
        _check(version_of(connection))
        yield connection


def _check(version: str) -> None:
    check_not_newer(version)
    if version != VERSIONS[-1]:
        state = f"has version {version}, but this release needs {VERSIONS[-1]}" if version else "is empty"
        raise ArchiveUnavailableError(f"the archive's database {state}: run `cto migrate`")


def version_of(connection: Connection) -> str:
    """Return the version of the schema; "" without tables."""
    if not inspect(connection).has_table(_TABLE):
        return ""
    return connection.scalar(text(f"SELECT version_num FROM {_TABLE}")) or ""  # noqa: S608 - a constant


def check_not_newer(version: str) -> None:
    """Raise :class:`ArchiveUnavailableError` if a later release has made this version."""
    if version and version not in VERSIONS:
        raise ArchiveUnavailableError(
            f"the archive's database has version {version}, which this release does not know (it knows up to "
            f"{VERSIONS[-1]}): a later release has migrated it, so upgrade this process"
        )
