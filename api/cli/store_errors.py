"""Messages for the store's errors, for commands that use the store."""

from __future__ import annotations

from kombu.exceptions import OperationalError
from redis.exceptions import NoPermissionError, RedisError

from api.cli.program_name import program
from cto_worker.config import Settings
from cto_worker.store.store_reachability import missing_system


def message(error: Exception) -> str:
    """Return what is wrong and what to do, or "" for an error that is not the store's."""
    if isinstance(error, NoPermissionError):
        return (
            f"the store user in CTO_REDIS_URL lacks a permission: {error}. "
            "Run this command where a worker runs, with the worker's settings"
        )
    if isinstance(error, RedisError | OperationalError):
        reason = missing_system(Settings.from_env()) or f"{error}. Run `{program()} doctor` to find out why"
        return f"the store is not reachable: {reason}"
    return ""
