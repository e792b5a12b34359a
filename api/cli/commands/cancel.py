"""``cto cancel``: cancels a job."""

from __future__ import annotations

import json

import click

from api.cli.job_ids import JobIdParameter, find_job_id
from api.cli.rest_client import client_for
from api.cli.shared_options import as_json, at_gateway
from api.cli.terminal.confirmation import confirm, yes_option
from cto_worker.config import Settings


@click.command("cancel")
@click.argument("job", type=JobIdParameter())
@yes_option
@as_json
@at_gateway
def cancel(*, job: str, yes: bool, as_json: bool, url: str | None, profile: str | None) -> None:
    """Cancel a job before its next transfer or buy.

    JOB is a job id or its first characters. In a terminal it asks for confirmation. Without a terminal, as in
    a script, it does not ask.
    """
    gateway = client_for(Settings.from_env(), url, profile)
    job_id = find_job_id(gateway, job)
    confirm(f"Cancel {job_id}? A cancelled job cannot be continued.", yes=yes, required=False)
    result = gateway.post(f"/api/cto/job/{job_id}/cancel")
    click.echo(json.dumps(result) if as_json else f"{job_id} will stop before its next transfer or buy")
