"""Without the extra cto[solana] everything but the signer and the market `solana` works."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = """
import os, sys
sys.modules["nacl"] = sys.modules["solders"] = None  # as if they were not installed
import cto_worker.app, api.wsgi, cto_worker.signer.client
os.environ["CTO_MARKET"] = "solana"
from api.cli.main import main
for command in (["signer", "create-key", sys.argv[1]], ["market", "chain"]):
    try:
        main(command)
    except SystemExit as end:
        print(end.code)
"""


def test_only_the_signer_and_the_chain_need_its_packages(tmp_path):
    key = tmp_path / "key"
    done = subprocess.run([sys.executable, "-c", CODE, key], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["1", "1"], done.stderr
    signer, chain = done.stderr.strip().splitlines()
    assert signer.startswith("Error: the signer needs the extra cto[solana]: ")
    assert chain.startswith("Error: `cto market chain` needs the extra cto[solana]: ")
    assert all("requirements-solana.lock" in line for line in (signer, chain))
    assert not Path(key).exists()
