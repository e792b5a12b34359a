"""``cto resolve``: records the outcomes of unknown intents. It uses the store, not a gateway."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Column, Table

from api.cli.commands.resolution_advice import NOT_EXECUTED, doubts, options, placeholders, results_in_ledger
from api.cli.job_ids import PAGE, SEARCHED, JobIdParameter, match_prefix
from api.cli.program_name import program
from api.cli.shared_options import FiniteRange, as_json
from api.cli.terminal.confirmation import confirm, yes_option
from cto_worker.config import Settings
from cto_worker.domain.audit_entry import local_actor
from cto_worker.domain.lamports import to_lamports, to_sol
from cto_worker.domain.operation_request import MAX_BUY_SOL
from cto_worker.store import job_review
from cto_worker.store.job_review import Resolution
from cto_worker.store.journal_queries import JournalQueries
from cto_worker.store.store_connection import connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from redis import Redis

    from cto_worker.domain.job_summary import JobSummary


@click.command("resolve")
@click.argument("job", type=JobIdParameter())
@click.option("--intent", help="Id of the unknown intent to resolve.")
@click.option("--executed", is_flag=True, help="The intent was executed. This cannot be undone.")
@click.option("--not-executed", is_flag=True, help="The intent was not executed. This cannot be undone.")
@click.option("--spent", type=FiniteRange(0, MAX_BUY_SOL), default=0, help="SOL spent, fees included.")
@click.option(
    "--tokens",
    type=click.IntRange(0),
    default=0,
    help="Tokens that the buy received, in base units: with six decimals, 1 token is 1000000.",
)
@yes_option
@as_json
def resolve(  # noqa: PLR0913 - one parameter per option
    *,
    job: str,
    intent: str | None,
    executed: bool,
    not_executed: bool,
    spent: float,
    tokens: int,
    yes: bool,
    as_json: bool,
) -> None:
    """Show the unknown intents of an ended job, or resolve one of them.

    JOB is a job id or its first characters.
    After the last one is resolved, the job leaves the list of `cto jobs --status needs_review`. If the job
    has no unknown intents, this command asks whether to remove it from the list. With -o json it only shows
    the job, unless --intent is given.
    """
    if executed + not_executed != (intent is not None):
        raise click.UsageError("Give --intent together with one of --executed and --not-executed.")
    settings, actor = Settings.from_env(), local_actor()
    with connect(settings) as store:
        job = _stored_job_id(store, job)
        if intent is not None:
            resolution = Resolution(executed, to_lamports(spent), tokens)
            _warn(settings, store, job, intent, resolution)
            found = "executed" if executed else "not executed"
            confirm(f"Record that {intent} was {found}? This cannot be undone.", yes=yes)
            job_review.resolve(store, job, intent, resolution, actor=actor, replicas=settings.replicas)
        unknown = job_review.unknown_intents(store, job)
        listed = job_review.is_listed(store, job)
        closed = listed and not unknown and not as_json
        if closed:
            confirm(
                f"{job} has no unknown intents. "
                "Remove it from the list of jobs that need review? This cannot be undone.",
                yes=yes,
            )
            job_review.close(store, job, actor=actor, replicas=settings.replicas)
    if as_json:
        intents = [_intent_fields(each) for each in unknown]
        click.echo(json.dumps({"jobId": job, "needsReview": listed, "unknownIntents": intents}))
        return
    if intent is not None:
        click.echo(f"{intent}: {'executed' if executed else 'not executed'}")
    if unknown:
        _show_unknown(job, unknown, results_in_ledger(settings, job))
    elif closed or intent is not None:
        click.echo(f"{job} has no unknown intents left and no longer needs review")
    else:
        click.echo(f"Nothing to review in {job}.")


def _stored_job_id(store: Redis, text: str) -> str:
    """Return the id of the stored job that ``text`` names. Raises :class:`~api.cli.job_ids.JobIdError`."""
    history = JournalQueries(store)
    if history.latest(text) is not None:
        return text
    return match_prefix(text, ((job.job_id, str(job.status)) for job in _newest(history)))


def _newest(history: JournalQueries) -> Iterator[JobSummary]:
    cursor, left = None, SEARCHED
    while left > 0:
        page = history.page(None, None, PAGE, cursor)
        yield from page.jobs
        cursor, left = page.cursor, left - PAGE
        if cursor is None:
            return


def _warn(settings: Settings, store: Redis, job: str, intent_id: str, entered: Resolution) -> None:
    for intent in job_review.unknown_intents(store, job):
        if intent.intent_id == intent_id:
            for doubt in doubts(intent, entered, results_in_ledger(settings, job)):
                click.echo(f"warning: {doubt}", err=True)


def _intent_fields(intent: job_review.UnknownIntent) -> dict[str, Any]:
    return {
        "intentId": intent.intent_id,
        "description": intent.description,
        "kind": intent.kind,
        "wallet": intent.wallet,
        "lamports": intent.lamports,
        "signature": intent.signature,
    }


def _show_unknown(
    job: str, unknown: list[job_review.UnknownIntent], results: Mapping[str, Resolution] | None
) -> None:
    table = Table("step", "kind", Column("wallet", overflow="fold"), "SOL")
    for intent in unknown:
        table.add_row(intent.description, intent.kind, intent.wallet, f"{to_sol(intent.lamports):.9f}")
    Console().print(table)
    if results is None:
        click.echo(
            "Look up each signature at the market or in an explorer, and record whether it was executed:"
        )
    else:
        click.echo("These commands record what the ledger of the paper market has now:")
    for intent in unknown:  # outside the table, which would break such long words
        given = (
            placeholders(intent) if results is None else options(results.get(intent.intent_id, NOT_EXECUTED))
        )
        click.echo(f"\n{intent.signature}\n  {program()} resolve {job} --intent {intent.intent_id} {given}")
    if results is None:
        advice = "If the order was not executed, give --not-executed instead."
    else:
        advice = "An order without an entry may still be executed late."
    click.echo(f"\n{advice} A resolution cannot be undone.")
