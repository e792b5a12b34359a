"""`.ci/audit.py`, a part of `make release-check`: what the reports of pip-audit and npm audit mean."""

from __future__ import annotations

import runpy
from pathlib import Path

AUDIT = runpy.run_path(str(Path(__file__).parents[3] / ".ci" / "audit.py"))
CLEAN = {"name": "flask", "version": "3.1.0", "vulns": []}
VULNERABLE = {"name": "h11", "version": "0.15", "vulns": [{"id": "PYSEC-1", "fix_versions": ["0.16"]}]}
SKIPPED = {"name": "redis", "skip_reason": "redis could not be audited"}


def test_only_a_complete_report_counts_as_checked():
    pip, npm = AUDIT["of_pip_audit"], AUDIT["of_npm_audit"]
    clean = {"auditReportVersion": 2, "vulnerabilities": {}}
    high = {"name": "preact", "range": "<11", "severity": "high"}
    cases = {
        "all clean": (pip({"dependencies": [CLEAN]}), [], None),
        "vulnerable": (
            pip({"dependencies": [CLEAN, VULNERABLE]}),
            ["h11 0.15: PYSEC-1, fixed in ['0.16']"],
            None,
        ),
        "skipped": (pip({"dependencies": [CLEAN, SKIPPED]}), [], "1 of 2 Python packages"),
        "no report": (pip(None), [], "no Python package"),
        "npm, all clean": (npm(clean), [], None),
        "npm, vulnerable": (npm(clean | {"vulnerabilities": {"p": high}}), ["preact <11: high"], None),
        "npm, refused": (npm({"message": "405 Method Not Allowed"}), [], "405 Method Not Allowed"),
        "npm, no report": (npm(None), [], "no npm package"),
    }
    for name, (findings, vulnerable, unchecked) in cases.items():
        assert findings.vulnerable == vulnerable, name
        assert (findings.unchecked is None) == (unchecked is None), name
        assert unchecked is None or unchecked in findings.unchecked, name
