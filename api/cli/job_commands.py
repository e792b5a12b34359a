"""The commands for users of a gateway: submit, watch, list and cancel jobs."""

from __future__ import annotations

import json
import sys
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from api.cli.demo import PUMPFUN
from api.cli.program_name import program
from api.cli.rest_client import RestClient, client_for
from api.cli.shared_options import as_json, at_url
from api.cli.terminal.job_state_labels import GOOD, buys_of, label_of
from api.cli.terminal.progress_display import ENDED, Bars, Lines, bars, describe, watch
from api.cli.terminal.table_output import print_table
from cto_worker.config import Settings


@click.command("submit")
@click.option("--token", "tokenAddress", default=PUMPFUN, help="Mint address of the token to buy.")
@click.option("--user", "userId", default="demo", help="Owner of the operation.")
@click.option("--chat", "userChatId", type=int, default=1, help="The owner's Telegram chat id.")
@click.option("--mode", default="standard", help="standard or prefunded.")
@click.option("--amount", "buyAmount", type=float, default=1.0, help="Total SOL to spend.")
@click.option("--wallets", "walletCount", type=int, help="Number of wallets that buy (default 5).")
@click.option("--wallet", "wallets", multiple=True, help="Wallet address to buy with; repeatable.")
@click.option("--platform", help="Platform to buy on (default: detected).")
@click.option("--slippage-bps", "slippageBps", type=int, help="Highest accepted price move, in basis points.")
@click.option("--socket-user", "socketUserId", help="Second user whose room also gets the events.")
@click.option("--idempotency-key", help="Repeating a submission with the same key returns the same job.")
@click.option("--watch", "then_watch", is_flag=True, help="Show the progress until the job ends.")
@as_json
@at_url
def _submit(
    *, idempotency_key: str | None, then_watch: bool, as_json: bool, url: str | None, **fields: Any
) -> None:
    """Start an operation and print its job id."""
    document = {name: value for name, value in fields.items() if value not in (None, ())}
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else None
    created = _client(url).post("/api/cto/jobs", document, headers)
    if then_watch:
        _show_progress((created["jobId"],), url, as_json=as_json)
    else:
        click.echo(json.dumps(created) if as_json else created["jobId"])


@click.command("watch")
@click.argument("jobs", nargs=-1, required=True, metavar="JOB...")
@as_json
@at_url
def _watch(*, jobs: tuple[str, ...], as_json: bool, url: str | None) -> None:
    """Show the progress of jobs until they end.

    Exits with 1 if a job failed.
    """
    _show_progress(jobs, url, as_json=as_json)


@click.command("jobs")
@click.option("--status", help="Filter by status: waiting, active, completed, failed or needs_review.")
@click.option("--user", help="Filter by owner.")
@click.option("--limit", type=int, default=20, help="Maximum number of jobs to list.")
@click.option("--cursor", help="Start of the page; the previous page prints it.")
@as_json
@at_url
def _jobs(  # noqa: PLR0913 - one parameter per option
    *, status: str | None, user: str | None, limit: int, cursor: str | None, as_json: bool, url: str | None
) -> None:
    """List jobs, newest first."""
    page = _client(url).get("/api/cto/jobs", status=status, userId=user, limit=limit, cursor=cursor)
    if as_json:
        click.echo(json.dumps(page))
        return
    names = ("job", "owner", "mode", "platform", "SOL", "status", "buys", "%")
    print_table(names, [_row(job) for job in page["jobs"]])
    if count := sum(job["needsReview"] for job in page["jobs"]):
        click.echo(f"needs review: {count}; `{program()} resolve JOB` shows the unknown outcomes")
    if page["nextCursor"]:
        click.echo(f"next page: {program()} jobs --cursor {page['nextCursor']}")


@click.command("cancel")
@click.argument("job")
@as_json
@at_url
def _cancel(*, job: str, as_json: bool, url: str | None) -> None:
    """Cancel a job before its next transfer or buy."""
    result = _client(url).post(f"/api/cto/job/{job}/cancel")
    click.echo(json.dumps(result) if as_json else f"{job} will stop before its next transfer or buy")


def _row(job: dict[str, Any]) -> tuple[str | Text, ...]:
    return (
        job["jobId"],
        job["userId"],
        job["mode"],
        job["platform"],
        f"{job['buyAmount']:g}",
        _status(job),
        buys_of(job["latestProgress"]),
        f"{job['currentProgress']:g}",
    )


def _status(job: dict[str, Any]) -> Text:
    """Return a listed job's status, or its outcome once it ended, in its colour."""
    label, colour = label_of(job["latestProgress"], needs_review=job["needsReview"])
    return Text(label if job["status"] in ENDED else job["status"], style=colour)


def _client(url: str | None) -> RestClient:
    return client_for(Settings.from_env(), url)


def _show_progress(job_ids: tuple[str, ...], url: str | None, *, as_json: bool) -> None:
    console = Console()
    if console.is_terminal and not as_json:
        with bars(console) as progress:
            last = watch(_client(url), job_ids, Bars(progress))
        for event in last:
            if label_of(event)[1] != GOOD:  # the bar may have cut off the reason
                click.echo(describe(event))
    else:
        last = watch(_client(url), job_ids, Lines(console, as_json=as_json))
    sys.exit(any(event["status"] == "failed" for event in last))


COMMANDS = (_submit, _watch, _jobs, _cancel)
