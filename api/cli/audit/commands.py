"""``cto audit``: the audit log, read from the store and the archive."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
from msgspec import to_builtins

from api.cli.job_ids import UUID_LENGTH, JobIdParameter, match_prefix
from api.cli.shared_options import as_json
from api.cli.terminal.table_output import print_table
from api.cli.time_parameter import TimeParameter
from api.rest.audit_view import entry_of
from cto_worker.archive import database
from cto_worker.archive.archive_queries import ArchiveQueries
from cto_worker.config import Settings
from cto_worker.domain.audit_entry import Action, AuditFilter
from cto_worker.jobs.audit_pages import page
from cto_worker.jobs.audit_verification import verify
from cto_worker.store.store_connection import connect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cto_worker.domain.audit_entry import AuditEntry

SEARCHED = 10_000  # newest entries among which a prefix of a job id must be unique


@click.group("audit", invoke_without_command=True)
@click.option("--actor", default="", help="Filter by author: a user id, or the user who ran a command.")
@click.option(
    "--action", type=click.Choice([each.value for each in Action]), help="Filter by kind of change."
)
@click.option("--job", type=JobIdParameter(), help="Filter by job: its id, or a unique beginning of it.")
@click.option("--from", "since", type=TimeParameter(), help="Made at or after a time, or since 24h, 7d.")
@click.option("--to", "until", type=TimeParameter(), help="Made before a time.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, help="Maximum number of entries.")
@as_json
@click.pass_context
def audit(  # noqa: PLR0913 - one parameter per option
    context: click.Context,
    *,
    actor: str,
    action: str | None,
    job: str | None,
    since: int | None,
    until: int | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show who changed what, newest first, or verify the log."""
    if context.invoked_subcommand:
        return
    settings = Settings.from_env()
    with connect(settings) as store, database.connected(settings) as engine:
        archive = ArchiveQueries(engine)
        wanted = AuditFilter(actor, action or "", from_ms=since or 0, to_ms=until)
        if job:
            wanted = replace(wanted, job_id=_job_id(job, page(store, archive, wanted, SEARCHED).entries))
        entries = page(store, archive, wanted, limit).entries
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


def _job_id(text: str, entries: Iterable[AuditEntry]) -> str:
    """Return the id of the job in these entries that ``text`` names; a full id needs none of them."""
    if len(text) >= UUID_LENGTH:
        return text
    newest = dict.fromkeys(entry.fields["jobId"] for entry in entries)
    return match_prefix(text, ((job_id, "in the audit log") for job_id in newest if job_id))


def _row(entry: AuditEntry) -> tuple[str, ...]:
    fields: dict[str, Any] = entry.fields
    time = datetime.fromtimestamp(fields["at"] / 1_000).astimezone().isoformat(" ", "seconds")
    subject = " ".join(filter(None, (fields["jobId"], fields["target"])))
    after = json.dumps(fields["after"], ensure_ascii=False) if fields["after"] else ""
    return str(entry.number), time, fields["actor"], fields["address"], fields["action"], subject, after
