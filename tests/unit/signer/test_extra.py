"""Without the extra cto[solana] everything but the signer works."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = """
import sys
sys.modules["nacl"] = sys.modules["solders"] = None  # as if they were not installed
import cto_worker.app, api.wsgi, cto_worker.signer.client
from api.cli.main import main
main(["signer", "create-key", sys.argv[1]])
"""


def test_only_the_signer_needs_its_packages(tmp_path):
    key = tmp_path / "key"
    done = subprocess.run([sys.executable, "-c", CODE, key], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "\nError: the signer needs the extra cto[solana]: " in f"\n{done.stderr}"
    assert "requirements-solana.lock" in done.stderr
    assert not Path(key).exists()
