"""The commands for operators: review, backup, tokens and secrets. They use the store, not a gateway."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from redis.exceptions import RedisError
from rich.console import Console
from rich.table import Column, Table

from api.auth.caller import Role
from api.auth.token_revocations import revoke
from api.auth.tokens import issue
from api.cli import deployment_secrets
from api.cli.program_name import program
from api.cli.shared_options import as_json
from cto_worker.config import Settings
from cto_worker.domain.journal_ports import Journal
from cto_worker.domain.lamports import to_sol
from cto_worker.domain.operation_request import USER_ID
from cto_worker.jobs.celery_app import celery_app
from cto_worker.jobs.park_after_restore import park_all_in_time
from cto_worker.observability.metered_journal import metered
from cto_worker.observability.metric_definitions import REGISTRY
from cto_worker.observability.process_heartbeat import ProcessHeartbeat
from cto_worker.store import job_review, keys
from cto_worker.store.rdb_snapshot import snapshot
from cto_worker.store.redis_journal import RedisJournal
from cto_worker.store.store_connection import connect


@click.command("resolve")
@click.argument("job")
@click.option("--intent", help="Id of the unknown intent to resolve.")
@click.option("--executed", is_flag=True, help="The intent was executed. This cannot be undone.")
@click.option("--not-executed", is_flag=True, help="The intent was not executed. This cannot be undone.")
@as_json
def _resolve(*, job: str, intent: str | None, executed: bool, not_executed: bool, as_json: bool) -> None:
    """Show the unknown intents of an ended job, or resolve one of them.

    After the last one is resolved, the job leaves the list of `cto jobs --status needs_review`.
    """
    if executed + not_executed != (intent is not None):
        raise click.UsageError("Give --intent together with one of --executed and --not-executed.")
    with connect(Settings.from_env()) as store:
        if intent is not None:
            job_review.resolve(store, job, intent, executed=executed)
        unknown = job_review.unknown_intents(store, job)
        closed = not unknown and job_review.close(store, job)
    if as_json:
        intents = [_intent_fields(each) for each in unknown]
        click.echo(json.dumps({"jobId": job, "needsReview": bool(unknown), "unknownIntents": intents}))
        return
    if intent is not None:
        click.echo(f"{intent}: {'executed' if executed else 'not executed'}")
    if unknown:
        _show_unknown(job, unknown)
    elif closed or intent is not None:
        click.echo(f"{job} has no unknown intents left and no longer needs review")
    else:
        click.echo(f"Nothing to review in {job}.")


@click.command("backup")
def _backup() -> None:
    """Write a snapshot of the store to its file dump.rdb.

    docs/how-to/operating.md describes how to keep and restore it.
    """
    with connect(Settings.from_env()) as store:
        snapshot(store)
    click.echo("written: dump.rdb in the store's data directory. Copy it to another machine")


@click.command("park")
@click.option(
    "--wait",
    type=click.FloatRange(0, 3_600),
    default=60,
    help="Seconds to wait until the store answers and all workers are gone.",
)
@as_json
def _park(*, wait: float, as_json: bool) -> None:
    """End all unfinished jobs for review, after a backup was restored.

    Stop all workers first. The command neither asks the market nor sends orders.
    """
    settings = Settings.from_env()
    with connect(settings) as store, celery_app(settings) as app:
        journal = metered(Journal.of(RedisJournal(store, settings)))
        try:
            parked = park_all_in_time(store, journal, app, wait)
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


@click.command("token")
@click.option("--user", required=True, help="User id, for the claim `sub`.")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default="user",
    help="Role, for the claim `role`.",
)
@click.option("--hours", type=click.FloatRange(0, 8_760), default=12, help="Lifetime of the token, in hours.")
def _token(*, user: str, role: str, hours: float) -> None:
    """Print an access token for development.

    It is signed with CTO_JWT_SECRET.
    """
    settings = Settings.from_env()
    if not USER_ID.match(user):
        raise click.UsageError(
            f"--user is {user!r}: use 1 to 64 characters, each a letter, a digit or one of _ . : @ + -"
        )
    click.echo(issue(settings, user, Role(role), round(hours * 3_600)))


@click.command("secrets")
@click.argument("directory", type=click.Path(path_type=Path), default=Path("deploy/secrets"))
@click.option(
    "--rights",
    type=click.Path(path_type=Path),
    default=Path("deploy/valkey/users.acl"),
    help="Template of the store's ACL file.",
)
@click.option(
    "--rotate",
    type=click.Choice(sorted(deployment_secrets.ROTATED)),
    multiple=True,
    help="Secret to replace; repeatable.",
)
def _secrets(*, directory: Path, rights: Path, rotate: tuple[str, ...]) -> None:
    """Create the secrets of a deployment, or add the missing ones.

    Existing secrets stay unless --rotate names them. After `--rotate store` the store accepts the previous
    passwords too, until you run the command again without --rotate. docs/how-to/deploying.md lists the
    processes to restart.
    """
    for path in deployment_secrets.make(directory, rights, rotate):
        click.echo(f"written: {path}")


@click.command("revoke")
@click.option("--jti", help="Revoke the token with this id.")
@click.option("--user", help="Revoke all tokens issued to this user until now.")
@click.option(
    "--days",
    type=click.IntRange(1, 3_650),
    default=30,
    help="Days to remember the revocation; at least the longest lifetime of a token.",
)
def _revoke(*, jti: str | None, user: str | None, days: int) -> None:
    """Revoke access tokens and close their connections within a second."""
    if bool(jti) == bool(user):
        raise click.UsageError("Give exactly one of --jti and --user.")
    with connect(Settings.from_env()) as store:
        revoke(store, token_id=jti or "", user_id=user or "", keep_s=days * 86_400)
    click.echo(f"revoked: {f'token {jti}' if jti else f'all tokens issued to {user} until now'}")


def _intent_fields(intent: job_review.UnknownIntent) -> dict[str, Any]:
    return {
        "intentId": intent.intent_id,
        "description": intent.description,
        "kind": intent.kind,
        "wallet": intent.wallet,
        "lamports": intent.lamports,
        "signature": intent.signature,
    }


def _show_unknown(job: str, unknown: list[job_review.UnknownIntent]) -> None:
    table = Table("step", "kind", Column("wallet", overflow="fold"), "SOL")
    for intent in unknown:
        table.add_row(intent.description, intent.kind, intent.wallet, f"{to_sol(intent.lamports):.9f}")
    Console().print(table)
    click.echo("Look up each signature at the market or in an explorer, and record whether it was executed:")
    for intent in unknown:  # outside the table, which would break such long words
        click.echo(
            f"\n{intent.signature}\n  {program()} resolve {job} --intent {intent.intent_id} --executed"
        )
    click.echo("\nor --not-executed. This cannot be undone.")


COMMANDS = (_resolve, _backup, _park, _token, _secrets, _revoke)
