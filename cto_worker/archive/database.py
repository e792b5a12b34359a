"""The archive's database: SQLite in ``CTO_DATA_DIR``, or the PostgreSQL database of ``CTO_ARCHIVE_URL``."""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from cto_worker.errors import ArchiveUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection, Engine, Table

    from cto_worker.config import Settings

SQLITE, POSTGRESQL = "sqlite", "postgresql"  # names of dialects
BUSY_S = 5.0  # how long SQLite waits for another process that writes
_CREATION_S = 30.0  # the same while another process creates the database
_CONNECT_S = 3
_ANALYZED_ROWS = 1_000  # of each index, for statistics
_RETRY_S = 0.5  # between two attempts to connect
_SILENCE_MS = 10_000  # after this time without an answer a connection is closed
# Execution option of SQLite: the transaction excludes other writers from its start. The value is the time for
# which it waits for them, in seconds.
EXCLUSIVE = "cto_exclusive_s"
_PRAGMAS = (
    "PRAGMA synchronous = FULL",  # a commit is on disk, because the store then forgets the job
    "PRAGMA foreign_keys = ON",
)


def connect(settings: Settings, *, connections: int = 2, statement_timeout_ms: int = 30_000) -> Engine:
    """Return the database of ended jobs. Connections are made on demand, at most ``connections``.

    A statement fails after ``statement_timeout_ms`` (PostgreSQL only).
    """
    if settings.archive_url:
        return _postgresql(settings.archive_url, connections, statement_timeout_ms)
    return _sqlite(settings, connections)


@contextmanager
def connected(settings: Settings) -> Iterator[Engine]:
    """Yield the database, and close its connections at the end of the block."""
    engine = connect(settings)
    try:
        yield engine
    finally:
        engine.dispose()


def insertion(bind: Engine | Connection, table: Table) -> Any:
    """Return an INSERT of the database's dialect, which has ``on_conflict_do_nothing`` and so on.

    SQLAlchemy has already imported this dialect. The other one is not imported, because that takes time.
    """
    return import_module(f"sqlalchemy.dialects.{bind.dialect.name}").insert(table)


def wait_until_reachable(engine: Engine, within_s: float) -> None:
    """Return when the database accepts a connection.

    Raises :class:`ArchiveUnavailableError` if it does not within this time.
    """
    deadline_s = time.monotonic() + within_s
    while True:
        try:
            with database_errors(), engine.connect():
                return
        except ArchiveUnavailableError:
            if time.monotonic() >= deadline_s:
                raise
        time.sleep(_RETRY_S)


def update_statistics(engine: Engine) -> None:
    """Update SQLite's statistics, by which it chooses indexes. PostgreSQL's autovacuum updates its own.

    Without statistics, a page of a user's jobs with one error reads all jobs with it. Takes some
    milliseconds, however many jobs there are. Raises :class:`ArchiveUnavailableError`.
    """
    if engine.dialect.name != SQLITE:
        return
    with database_errors(), engine.execution_options(**{EXCLUSIVE: BUSY_S}).begin() as connection:
        connection.exec_driver_sql(f"PRAGMA analysis_limit = {_ANALYZED_ROWS}")
        # Other connections read the statistics again only if their table is new.
        connection.exec_driver_sql("DROP TABLE IF EXISTS sqlite_stat1")
        connection.exec_driver_sql("ANALYZE")


def location(settings: Settings) -> str:
    """Return a description of the database's address, without its password."""
    if not settings.archive_url:
        return f"SQLite in {settings.archive_path}"
    url = make_url(settings.archive_url)
    return f"PostgreSQL database {url.database} at {url.host}:{url.port or 5432}"


@contextmanager
def database_errors() -> Iterator[None]:
    """Raise an error of the database as an :class:`ArchiveUnavailableError`, without secrets and values."""
    try:
        yield
    except SQLAlchemyError as error:
        reason = str(error.orig if isinstance(error, DBAPIError) else error).strip()
        raise ArchiveUnavailableError(
            f"the archive's database fails ({reason.splitlines()[0] if reason else type(error).__name__}): "
            "check CTO_ARCHIVE_URL, the database, and its free space"
        ) from error


def _postgresql(url: str, connections: int, statement_timeout_ms: int) -> Engine:
    return create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=connections,
        max_overflow=0,
        pool_timeout=_CONNECT_S,
        pool_pre_ping=True,  # a restart of the database costs no failed statement
        hide_parameters=True,
        connect_args={
            "connect_timeout": _CONNECT_S,
            "tcp_user_timeout": _SILENCE_MS,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "options": f"-c statement_timeout={statement_timeout_ms}",
            "application_name": "cto",
        },
    )


def _sqlite(settings: Settings, connections: int) -> Engine:
    engine = create_engine(
        f"sqlite+pysqlite:///{settings.archive_path}",
        pool_size=connections,
        max_overflow=0,
        pool_timeout=_CONNECT_S,
        hide_parameters=True,
        connect_args={"timeout": _CREATION_S, "check_same_thread": False},
    )
    event.listen(engine, "do_connect", lambda *_: _make_directory(settings.data_dir))
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def _make_directory(directory: Path) -> None:
    try:
        directory.absolute().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArchiveUnavailableError(
            f"cannot write to CTO_DATA_DIR={directory} ({error.strerror}): choose another directory, or set "
            "CTO_ARCHIVE_URL"
        ) from error


def _configure(connection: Any, _: object) -> None:
    """Configure a new connection, and leave transactions to SQLAlchemy: the driver would begin them late."""
    connection.isolation_level = None
    _use_wal(connection)
    for pragma in _PRAGMAS:
        connection.execute(pragma)
    connection.execute(_busy_timeout(BUSY_S))


def _use_wal(connection: Any) -> None:
    """Turn on the write-ahead log, so that readers do not wait for the writer.

    While another process creates the database, SQLite refuses this at once, whatever its busy time-out.
    """
    deadline_s = time.monotonic() + _CREATION_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY  # the other bits give the reason
            if not busy or time.monotonic() >= deadline_s:
                raise
        else:
            return
        connection.execute("BEGIN IMMEDIATE")  # waits for the other process
        connection.execute("ROLLBACK")


def _begin(connection: Connection) -> None:
    wait_s = connection.get_execution_options().get(EXCLUSIVE)
    if wait_s is None:
        connection.exec_driver_sql("BEGIN")
        return
    connection.exec_driver_sql(_busy_timeout(wait_s))
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        connection.exec_driver_sql(_busy_timeout(BUSY_S))


def _busy_timeout(seconds: float) -> str:
    return f"PRAGMA busy_timeout = {seconds * 1_000:.0f}"
