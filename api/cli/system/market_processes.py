"""The processes that a market needs besides the worker: the signer, and a local chain."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import urlopen

from api.cli.system.demo_tokens import uses_local_chain
from api.cli.system.process_supervisor import Spec
from cto_worker.errors import SignerError
from cto_worker.signer.client import SignerClient

if TYPE_CHECKING:
    from cto_worker.config import Settings

PROBE_S = 0.5
_CTO = (sys.executable, "-m", "api.cli.main")
_LOCAL_SIGNER = (sys.executable, "-m", "cto_worker.markets.solana.local_system")


def chain_url(settings: Settings) -> str:
    """Return the address of the local chain."""
    return f"http://127.0.0.1:{settings.local_chain_port}/"


def market_processes(settings: Settings) -> list[Spec]:
    """Return the processes of the market, in the order of their start."""
    if settings.market != "solana":
        return []
    local = uses_local_chain(settings)
    signer = Spec(
        "signer",
        _LOCAL_SIGNER if local else (*_CTO, "signer", "run"),
        ready=lambda: _signer_answers(settings),
        needed=True,
    )
    chain = Spec("chain", (*_CTO, "local-chain"), ready=lambda: _chain_answers(settings), needed=True)
    return [chain, signer] if local else [signer]


def _signer_answers(settings: Settings) -> bool:
    with suppress(SignerError):
        SignerClient.from_settings(settings).addresses("nobody")
        return True
    return False


def _chain_answers(settings: Settings) -> bool:
    with suppress(URLError, OSError), urlopen(chain_url(settings), timeout=PROBE_S) as response:  # noqa: S310
        return bool(response.status == 200)  # noqa: PLR2004 - OK
    return False
