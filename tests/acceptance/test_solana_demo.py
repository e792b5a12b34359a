"""`cto demo` on the market `solana`: a local chain, a signer, and real signed transactions."""

from __future__ import annotations

import re
import subprocess

from support.documents import block
from support.processes import BIN, environment, free_port

from api.cli.system.demo_tokens import demo_tokens
from cto_worker.config import Settings
from cto_worker.markets.solana.local_chain.genesis import DEMO_TOKENS


def test_the_demo_runs_on_a_local_chain():
    setting, *command = block("docs/how-to/solana.md", "CTO_MARKET=solana cto demo").code.split()
    env = environment(
        CTO_LOCAL_CHAIN_PORT=str(free_port()), CTO_LOCAL_CHAIN_SLOT_MS="50", **dict([setting.split("=")])
    )
    assert command == ["cto", "demo"]
    done = subprocess.run(
        [BIN / "cto", "demo"], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    output = " ".join(done.stdout.split())
    audited = re.search(r"each of the (\d+) executed orders executed once", output)
    assert audited, done.stdout
    assert int(audited[1]) == 19 + 8, "a buy with each wallet, and a transfer to each in the standard mode"


def test_the_demo_buys_the_tokens_of_the_local_chain():
    settings = Settings.from_env({"CTO_MARKET": "solana"})
    assert demo_tokens(settings) == tuple(str(token.mint) for token in DEMO_TOKENS)
