"""The version of the archive's schema, and its check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from cto_worker.archive.database import database_errors
from cto_worker.errors import ArchiveUnavailableError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

# The versions that this release knows, oldest first: one of each migration.
VERSIONS = ("1", "2", "3", "4", "5")
_TABLE = "alembic_version"


def check_schema(engine: Engine) -> None:
    """Raise :class:`ArchiveUnavailableError` unless the schema is that of this release."""
    with database_errors(), engine.connect() as connection:
        version = version_of(connection)
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
