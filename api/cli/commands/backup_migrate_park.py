"""``cto backup``, ``cto migrate`` and ``cto park``: care of the store and the archive, without a gateway."""

from __future__ import annotations

import json
from contextlib import suppress

import click
from redis.exceptions import RedisError

from api.cli.audit.change_entries import continue_log, enter_if_possible, enter_parking
from api.cli.program_name import program
from api.cli.shared_options import FiniteRange, as_json
from api.cli.terminal.confirmation import confirm, yes_option
from cto_worker.archive import database
from cto_worker.archive.schema_migration import migrate
from cto_worker.config import Settings
from cto_worker.domain.audit_entry import Action, Change, local_actor
from cto_worker.domain.journal_ports import Journal
from cto_worker.jobs.celery_app import celery_app
from cto_worker.jobs.park_after_restore import park_all_with_retries
from cto_worker.observability.metered_journal import metered
from cto_worker.observability.metric_definitions import REGISTRY
from cto_worker.observability.process_heartbeat import ProcessHeartbeat
from cto_worker.store import audit_stream, job_review, keys
from cto_worker.store.rdb_snapshot import snapshot
from cto_worker.store.redis_journal import RedisJournal
from cto_worker.store.store_connection import connect


@click.command("backup")
def backup() -> None:
    """Write a snapshot of the store to its file dump.rdb.

    docs/how-to/operating.md describes how to keep and restore it.
    """
    settings = Settings.from_env()
    with connect(settings) as store:
        audit_stream.append(store, Change(actor=local_actor(), action=Action.STORE_BACKUP), settings.replicas)
        snapshot(store)
    click.echo("written: dump.rdb in the store's data directory. Copy it to another machine")


@click.command("migrate")
@click.option(
    "--wait",
    type=FiniteRange(0, 3_600),
    default=0,
    help="Seconds to wait until the database accepts connections.",
)
def migrate_archive(*, wait: float) -> None:
    """Bring the archive's database to the schema of this release.

    With PostgreSQL, run it before the processes of a new release start. SQLite is migrated at start.
    """
    settings = Settings.from_env()
    with database.connected(settings) as engine:
        database.wait_until_reachable(engine, wait)
        enter_if_possible(Action.ARCHIVE_MIGRATE, target=database.location(settings))
        before, after = migrate(engine)
    if before == after:
        click.echo(f"nothing to do: {database.location(settings)} has version {after}")
    else:
        click.echo(f"migrated: {database.location(settings)} from version {before or 0} to {after}")


@click.command("park")
@click.option(
    "--wait",
    type=FiniteRange(0, 3_600),
    default=60,
    help="Seconds to wait until the store answers and all workers are gone.",
)
@yes_option
@as_json
def park(*, wait: float, yes: bool, as_json: bool) -> None:
    """End all unfinished jobs for review, after a backup was restored.

    Stop all workers first. The command neither asks the market nor sends orders.
    """
    settings = Settings.from_env()
    confirm("End all unfinished jobs for review? No worker may run. This cannot be undone.", yes=yes)
    with connect(settings) as store, celery_app(settings) as app:
        journal = metered(Journal.of(RedisJournal(store, settings)))
        continue_log(store, settings)
        try:
            parked = park_all_with_retries(store, journal, app, wait, enter_parking(store, settings.replicas))
        finally:
            with suppress(RedisError):
                # Adds the jobs that this process ended to the system's counters.
                ProcessHeartbeat(store, "park", REGISTRY, dict).end()
        listed = job_review.count(store)
    if as_json:
        click.echo(json.dumps({"jobIds": parked}))
        return
    for job_id in parked:
        click.echo(job_id)
    click.echo(f"ended: {len(parked)}" if parked else "no unfinished jobs")
    if listed:
        click.echo(f"{listed} jobs need review: `{program()} jobs --status {keys.REVIEW}`")
