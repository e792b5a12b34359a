"""``cto audit``: the audit log, read from the store and the archive."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
from msgspec import to_builtins

from api.cli.shared_options import as_json
from api.cli.terminal.table_output import print_table
from api.rest.audit_view import entry_of
from cto_worker.archive import database
from cto_worker.archive.archive_queries import ArchiveQueries
from cto_worker.config import Settings
from cto_worker.domain.audit_entry import AuditFilter
from cto_worker.jobs.audit_pages import page
from cto_worker.jobs.audit_verification import verify
from cto_worker.store.store_connection import connect

if TYPE_CHECKING:
    from cto_worker.domain.audit_entry import AuditEntry

_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"]


@click.group("audit", invoke_without_command=True)
@click.option("--actor", default="", help="Filter by author: a user id, or the user who ran a command.")
@click.option("--action", default="", help="Filter by kind of change, e.g. job.cancel.")
@click.option("--job", default="", help="Filter by job.")
@click.option("--from", "since", type=click.DateTime(_FORMATS), help="Earliest time, in the local time zone.")
@click.option("--to", "until", type=click.DateTime(_FORMATS), help="Time before which the changes were made.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, help="Maximum number of entries.")
@as_json
@click.pass_context
def audit(  # noqa: PLR0913 - one parameter per option
    context: click.Context,
    *,
    actor: str,
    action: str,
    job: str,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show who changed what, newest first, or verify the log."""
    if context.invoked_subcommand:
        return
    wanted = AuditFilter(actor, action, job, _ms(since) or 0, _ms(until))
    settings = Settings.from_env()
    with connect(settings) as store, database.connected(settings) as engine:
        entries = page(store, ArchiveQueries(engine), wanted, limit).entries
    if as_json:
        click.echo(json.dumps([to_builtins(entry_of(entry)) for entry in entries]))
        return
    print_table(("number", "time", "actor", "address", "action", "subject", "after"), map(_row, entries))


@audit.command("verify")
@as_json
def _verify(*, as_json: bool) -> None:
    """Check that no entry is missing or modified.

    Exits with 1 if one is. Keep the last number and hash elsewhere: only they show that somebody has
    replaced the whole log.
    """
    settings = Settings.from_env()
    with connect(settings) as store, database.connected(settings) as engine:
        result = verify(store, engine)
    if as_json:
        click.echo(json.dumps(to_builtins(result)))
    else:
        for problem in result.problems:
            click.echo(problem)
        state = f"{len(result.problems)} problems" if result.problems else "intact"
        click.echo(
            f"{state}: {result.archived} entries in the archive, {result.stored} in the store; "
            f"the last one is {result.number} {result.hash}"
        )
    sys.exit(bool(result.problems))


def _ms(time: datetime | None) -> int | None:
    return None if time is None else round(time.timestamp() * 1_000)


def _row(entry: AuditEntry) -> tuple[str, ...]:
    fields: dict[str, Any] = entry.fields
    time = datetime.fromtimestamp(fields["at"] / 1_000).astimezone().isoformat(" ", "seconds")
    subject = " ".join(filter(None, (fields["jobId"], fields["target"])))
    after = json.dumps(fields["after"], ensure_ascii=False) if fields["after"] else ""
    return str(entry.number), time, fields["actor"], fields["address"], fields["action"], subject, after
