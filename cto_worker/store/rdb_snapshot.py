"""A backup of the store: a snapshot of one moment."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from cto_worker.errors import BackupFailedError

if TYPE_CHECKING:
    from redis import Redis

_POLL_S = 0.1


def snapshot(store: Redis) -> None:
    """Write all data of the store to its file ``dump.rdb``. Returns once the file is on disk.

    Raises :class:`BackupFailedError`. The file is then from an earlier backup, or missing.
    """
    before = _state(store)
    try:
        store.bgsave(schedule=True)  # scheduled, because a rewrite of the append-only file may be running
    except ResponseError as error:
        raise BackupFailedError(f"the store refused to write a snapshot: {error}") from error
    while (now := _state(store))["rdb_saves"] == before["rdb_saves"] or now["rdb_bgsave_in_progress"]:
        if now["run_id"] != before["run_id"]:
            break
        time.sleep(_POLL_S)
    if now["run_id"] != before["run_id"]:
        raise BackupFailedError("the store was restarted during the backup: run the backup again")
    if now["rdb_last_bgsave_status"] != "ok":
        raise BackupFailedError(
            "the store could not write its snapshot: see the store's log, and check that its disk is not full"
        )


def _state(store: Redis) -> dict[str, Any]:
    state: dict[str, Any] = store.info("server", "persistence")
    return state
