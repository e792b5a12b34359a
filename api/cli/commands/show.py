"""``cto show``: everything that is known about one job."""

from __future__ import annotations

import json

import click

from api.cli.job_ids import JobIdParameter, find_job_id
from api.cli.rest_client import client_for
from api.cli.shared_options import as_json, at_gateway
from api.cli.terminal.job_details import print_job
from api.cli.terminal.table_output import terminal
from cto_worker.config import Settings


@click.command("show")
@click.argument("job", type=JobIdParameter())
@as_json
@at_gateway
def show(*, job: str, as_json: bool, url: str | None, profile: str | None) -> None:
    """Show one job: state, result, each wallet's steps, and all events.

    JOB is a job id or its first characters.
    """
    gateway = client_for(Settings.from_env(), url, profile)
    details = gateway.get(f"/api/cto/job/{find_job_id(gateway, job)}/status")
    if as_json:
        click.echo(json.dumps(details))
    else:
        print_job(terminal(), details)
