"""Entries of the audit log for commands that change something outside one atomic step of the store.

The entry comes first: a crash then leaves an entry without a change, rather than a change without an entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from redis.exceptions import RedisError

from cto_worker.archive import database
from cto_worker.config import Settings
from cto_worker.domain.audit_entry import Action, Change, local_actor
from cto_worker.errors import ArchiveUnavailableError
from cto_worker.jobs.audit_archiver import continue_chain
from cto_worker.store import audit_stream, keys
from cto_worker.store.store_connection import connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

_TIMEOUT_S = 2.0  # the machine on which secrets are made often has no store


def enter_if_possible(action: Action, target: str, after: dict[str, Any] | None = None) -> None:
    """Enter a change in the audit log, if the store is reachable; otherwise report that it is not entered."""
    settings = Settings.from_env()
    change = Change(actor=local_actor(), action=action, target=target, after=after)
    try:
        with connect(settings, 1, timeout_s=_TIMEOUT_S, retry_timeouts=False) as store:
            audit_stream.append(store, change, settings.replicas)
    except RedisError as error:
        click.echo(f"not in the audit log, because the store is not reachable: {error}", err=True)


def continue_log(store: Redis, settings: Settings) -> None:
    """Let the audit log follow the archive's last entry, which the restored store may not have."""
    try:
        with database.connected(settings) as engine:
            continue_chain(store, engine)
    except (ArchiveUnavailableError, RedisError) as error:
        click.echo(
            f"the audit log may contain numbers twice, because it cannot be compared: {error}", err=True
        )


def enter_parking(store: Redis, replicas: int) -> Callable[[str], None]:
    """Return the function that enters a job in the audit log, once, before the job is parked."""
    entered: set[str] = set()  # parking is repeated while a lease has not expired

    def before_parking(job_id: str) -> None:
        if job_id in entered:
            return
        status: Any = store.hget(keys.job(job_id), "status")
        change = Change(
            actor=local_actor(),
            action=Action.JOB_PARK,
            job_id=job_id,
            before={"status": status.decode()} if status else None,
            after={"status": "failed", "needsReview": True},
        )
        audit_stream.append(store, change, replicas)
        entered.add(job_id)

    return before_parking
