"""The view library of the console is what `bundle.mjs` makes of the locked packages."""

from __future__ import annotations

import subprocess
from pathlib import Path

from support.javascript import NODE

ROOT = Path(__file__).parents[2]


def test_the_committed_bundle_is_that_of_the_locked_packages():
    command = [NODE, "bundle.mjs", "--stdout"]
    bundled = subprocess.run(
        command, cwd=ROOT / "clients" / "console", capture_output=True, text=True, check=False, timeout=120
    )
    assert bundled.returncode == 0, bundled.stderr
    committed = (ROOT / "api" / "static" / "third_party" / "preact.js").read_text()
    assert committed == bundled.stdout, "run `npm run bundle` in clients/console"
    for notice in ("The MIT License", "Apache License"):
        assert notice in committed
