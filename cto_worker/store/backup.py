"""A backup of the store: its own snapshot, of one moment."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from cto_worker.errors import BackupFailedError

if TYPE_CHECKING:
    from redis import Redis

_POLL_S = 0.1


def snapshot(store: Redis) -> None:
    """Have the store write all that it holds into its file ``dump.rdb``, and wait until that is on disk.

    Raises :class:`BackupFailedError`: then the file is that of an earlier backup, or none.
    """
    before = _state(store)
    try:
        store.bgsave(schedule=True)  # after a rewrite of the append-only file, should one be under way
    except ResponseError as error:
        raise BackupFailedError(f"the store does not write its snapshot: {error}") from error
    while (now := _state(store))["rdb_saves"] == before["rdb_saves"] or now["rdb_bgsave_in_progress"]:
        if now["run_id"] != before["run_id"]:
            break
        time.sleep(_POLL_S)
    if now["run_id"] != before["run_id"]:
        raise BackupFailedError("the store was restarted meanwhile: do it again")
    if now["rdb_last_bgsave_status"] != "ok":
        raise BackupFailedError("the store could not write its snapshot: its log says why. Is its disk full?")


def _state(store: Redis) -> dict[str, Any]:
    found: dict[str, Any] = store.info("server", "persistence")
    return found
