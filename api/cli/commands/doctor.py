"""``cto doctor``: check a whole system."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from api.cli.shared_options import as_json
from api.cli.system.doctor import Finding, examine
from api.cli.terminal.job_state_labels import BAD, GOOD, WARNING
from api.cli.terminal.table_output import terminal
from cto_worker.config import Settings


@click.command("doctor")
@as_json
def check_system(*, as_json: bool) -> None:
    """Check the configuration, store, gateway and workers.

    It checks the system of the CTO_* settings, by default the one in this folder. Saved profiles have no
    effect. Exits with 1 if a check fails.
    """
    findings = []
    for finding in examine(Settings.from_env()):
        findings.append(finding)
        if not as_json:
            _print_finding(finding)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings]))
    sys.exit(not all(finding.right for finding in findings))


def _print_finding(finding: Finding) -> None:
    mark, colour = ("WARN", WARNING) if finding.warning else ("ok", GOOD)
    if not finding.right:
        mark, colour = "FAIL", BAD
    console = terminal()
    console.print(f"{mark:<5}", style=colour, end="")
    console.print(f" {finding.check:<14} {finding.text}", soft_wrap=True)
    if finding.mend:
        console.print(f"{'':<20} → {finding.mend}", soft_wrap=True)
