"""``cto watch``: shows the progress of jobs live."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from api.cli.job_ids import JobIdParameter, find_job_id, newest_jobs
from api.cli.job_watcher import watch, watch_room
from api.cli.program_name import program
from api.cli.rest_client import GatewayError, client_for
from api.cli.shared_options import as_json, at_gateway
from api.cli.terminal.job_state_labels import GOOD, label_of
from api.cli.terminal.progress_display import Bars, Lines, Screen, bars
from api.cli.terminal.table_output import terminal
from cto_worker.config import Settings
from cto_worker.domain.ids_and_rooms import ADMIN_ROOM, user_room

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from api.cli.rest_client import RestClient

INTERRUPTED = 130  # exit status after Ctrl-C: 128 + SIGINT


@click.command("watch")
@click.argument("jobs", nargs=-1, type=JobIdParameter(), metavar="[JOB]...")
@click.option("--last", is_flag=True, help="Watch the newest job; with --user, the newest of that user.")
@click.option("--user", help="Watch all jobs of this user, also new ones, until Ctrl-C.")
@click.option("--all", "every", is_flag=True, help="Watch all jobs of all users, until Ctrl-C.")
@as_json
@at_gateway
def watch_jobs(  # noqa: PLR0913 - one parameter per option
    *,
    jobs: tuple[str, ...],
    last: bool,
    user: str | None,
    every: bool,
    as_json: bool,
    url: str | None,
    profile: str | None,
) -> None:
    """Show the progress of jobs until they end.

    JOB is a job id or its first characters. Ctrl-C ends only the display: the operations continue. If the
    connection is lost, the command says so and connects again. Exits with 1 if a job failed or was cancelled.
    """
    chosen = [bool(jobs), last or user is not None, every]
    if sum(chosen) != 1:
        raise click.UsageError("Name jobs, or give one of --last, --user and --all.")
    gateway = client_for(Settings.from_env(), url, profile)
    if jobs:
        show_progress(gateway, [find_job_id(gateway, job) for job in jobs], as_json=as_json)
    elif last:
        show_progress(gateway, [_newest(gateway, user)], as_json=as_json)
    else:
        _show_room(gateway, user_room(user) if user else ADMIN_ROOM, as_json=as_json)


def show_progress(gateway: RestClient, job_ids: Sequence[str], *, as_json: bool) -> None:
    """Show the progress of jobs until they end, then exit: with 1 if a job failed or was cancelled."""
    with _interruptible(gateway, " ".join(job_ids)), _screen(as_json=as_json) as screen:
        last = watch(gateway, job_ids, screen)
    if isinstance(screen, Bars):
        screen.show_results()
        _hint(gateway, last)
    sys.exit(any(event["status"] == "failed" for event in last))


def _show_room(gateway: RestClient, room: str, *, as_json: bool) -> None:
    gateway.get("/api/cto/jobs", limit=1)  # says what is wrong if the gateway is not reachable
    with _interruptible(gateway, "", continuing=True), _screen(as_json=as_json, remove_ended=True) as screen:
        watch_room(gateway, room, screen)


@contextmanager
def _screen(*, as_json: bool, remove_ended: bool = False) -> Iterator[Screen]:
    console = terminal()
    if console.is_terminal and not as_json:
        with bars(console) as progress:
            yield Bars(progress, remove_ended=remove_ended)
    else:
        yield Lines(console, as_json=as_json)


@contextmanager
def _interruptible(gateway: RestClient, arguments: str, *, continuing: bool = False) -> Iterator[None]:
    """Say after Ctrl-C that the operations continue, and exit."""
    try:
        yield
    except KeyboardInterrupt:
        command = f"{program()} watch {arguments}{gateway.options}"
        text = (
            "Stopped watching. The operations continue."
            if continuing
            else f"Stopped watching. The operation continues: watch it again with\n  {command}"
        )
        click.echo(text, err=True)
        sys.exit(INTERRUPTED)


def _hint(gateway: RestClient, events: Sequence[dict[str, Any]]) -> None:
    """Name the command that shows why a job has not fully succeeded."""
    for event in events:
        if label_of(event)[1] != GOOD:
            click.echo(f"details: {program()} show {event['jobId'][:8]}{gateway.options}")


def _newest(gateway: RestClient, user: str | None) -> str:
    for job in newest_jobs(gateway, 1, userId=user):
        return str(job["jobId"])
    raise GatewayError("job_not_found", f"there is no job{f' of {user}' if user else ''} yet")
