"""``cto jobs``: lists jobs."""

from __future__ import annotations

import json
import time
from typing import Any

import click
from rich.text import Text

from api.cli.program_name import program
from api.cli.rest_client import client_for
from api.cli.shared_options import as_json, at_gateway
from api.cli.terminal.amount_format import sol
from api.cli.terminal.job_state_labels import ENDED, buys_of, short_label_of
from api.cli.terminal.table_output import print_table, terminal
from api.cli.terminal.time_format import exact_duration, local_time, short_duration
from api.cli.time_parameter import TimeParameter
from cto_worker.config import Settings
from cto_worker.domain.progress_event import JobStatus, Mode
from cto_worker.domain.purchase_outcome import PurchaseOutcome
from cto_worker.store import keys

COLUMNS = ("job", "owner", "token", "mode", "SOL", "outcome", "buys", "age", "duration", "error")
OPTIONAL = ("mode", "token", "duration", "owner", "SOL", "error")  # on narrow terminals the first goes first
SHORT_ID = 8


@click.command("jobs")
@click.option(
    "--status",
    type=click.Choice([*(each.value for each in JobStatus), keys.REVIEW]),
    help="Filter by status.",
)
@click.option(
    "--outcome", type=click.Choice([each.value for each in PurchaseOutcome]), help="Filter by outcome."
)
@click.option(
    "--needs-review/--no-needs-review", "needsReview", default=None, help="Filter by need of review."
)
@click.option("--user", "userId", help="Filter by owner.")
@click.option("--token", "tokenAddress", help="Filter by mint address.")
@click.option("--wallet", help="Filter by a wallet that the job used.")
@click.option("--signature", help="Filter by a transaction of the job.")
@click.option("--error", "errorCode", help="Filter by error code.")
@click.option("--mode", type=click.Choice([mode.value for mode in Mode]), help="Filter by mode.")
@click.option("--platform", help="Filter by platform.")
@click.option("--from", "from", type=TimeParameter(), help="Created at or after a time, or since 24h, 7d.")
@click.option("--to", "to", type=TimeParameter(), help="Created before a time.")
@click.option("--limit", type=int, default=20, help="Maximum number of jobs to list.")
@click.option("--cursor", help="Start of the page; the previous page prints it.")
@click.option("--csv", "as_csv", is_flag=True, help="Print all matching jobs as CSV, whatever the limit.")
@as_json
@at_gateway
def jobs(*, as_csv: bool, as_json: bool, url: str | None, profile: str | None, **filters: Any) -> None:
    """List jobs, newest first.

    A terminal shows the first characters of each id, which other commands accept, and leaves out columns that
    do not fit. A pipe gets full ids and all columns; -o json prints everything.
    """
    gateway = client_for(Settings.from_env(), url, profile)
    if filters["needsReview"] is not None:
        filters["needsReview"] = str(filters["needsReview"]).lower()
    if as_csv:
        del filters["limit"], filters["cursor"]
        for line in gateway.lines("/api/cto/jobs.csv", **filters):
            click.echo(line)
        return
    page = gateway.get("/api/cto/jobs", **filters)
    if as_json:
        click.echo(json.dumps(page))
        return
    if not page["jobs"]:
        click.echo("no jobs" if page["nextCursor"] is None else "no jobs on this page")
    else:
        shortened = terminal().is_terminal
        names = [name if shortened or name != "age" else "created" for name in COLUMNS]
        print_table(names, [_row(job, shortened=shortened) for job in page["jobs"]], optional=OPTIONAL)
    _print_hints(page)


def _print_hints(page: dict[str, Any]) -> None:
    if count := sum(job["needsReview"] for job in page["jobs"]):
        click.echo(f"needs review: {count}; `{program()} resolve JOB` shows the unknown outcomes")
    if page["nextCursor"]:
        click.echo(f"next page: the same command with --cursor {page['nextCursor']}")


def _row(job: dict[str, Any], *, shortened: bool) -> tuple[str | Text, ...]:
    event, created_ms = job["latestProgress"], job["createdAt"]
    now_ms = round(time.time() * 1_000)
    ended_ms = event["timestamp"] if job["status"] in ENDED else now_ms
    token = job["tokenAddress"]
    return (
        job["jobId"][:SHORT_ID] if shortened else job["jobId"],
        job["userId"],
        f"{token[:4]}…{token[-4:]}" if shortened else token,
        job["mode"],
        sol(job["buyAmount"]),
        _outcome(job),
        buys_of(event),
        short_duration((now_ms - created_ms) / 1_000) if shortened else local_time(created_ms),
        exact_duration(max(0, ended_ms - created_ms)),
        event.get("details", {}).get("errorCode", ""),
    )


def _outcome(job: dict[str, Any]) -> Text:
    """Return the label of a job in its colour; that of a running job with its progress."""
    label, colour = short_label_of(job["latestProgress"], needs_review=job["needsReview"])
    progress = f" {job['currentProgress']:.0f} %" if job["status"] == JobStatus.ACTIVE else ""
    return Text(label + progress, colour)
