"""The markets of the demonstration: their tokens, and the audit of their books."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from api.cli.system.market_processes import uses_local_chain
from cto_worker.errors import CtoError
from cto_worker.markets.paper import ledger
from cto_worker.signer.client import SignerClient
from cto_worker.store.store_connection import connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cto_worker.config import Settings

USER_ID = "demo"
# Mints that trade on pumpfun, bonk and raydium. The paper market sells every mint.
_PAPER_TOKENS = (
    "9FdjJ7S6g5LjAKFANKTm4WmAexYhHGusGFGi4VxEpump",
    "9FdjJ7S6g5LjAKFANKTm4WmAexYhHGusGFGi4VxEbonk",
    "So11111111111111111111111111111111111111112",
)
_LOCAL_CHAIN_TOKENS = (  # the demo tokens of every local chain
    "4sneXzeHsXezfgkhEhtY9AdUnQ7Zg7xY7mLR6gTxfLtf",
    "4shizicwEyv1RZ7UBNz2gCvrjtkxVs6GP4vrNkAmsTh5",
    "AwFcU2VXmzTvBvaLkdT8nnPzhL7qLSmHKihXCtRyvNqw",
)
_CHAIN_AUDIT = "cto_worker.markets.solana.chain_audit"  # needs the packages of cto[solana]


class DemoError(CtoError):
    """An operation of the demonstration had an unexpected result, or the system did not start."""


def demo_tokens(settings: Settings) -> tuple[str, str, str]:
    """Return the mints of tokens that trade on pumpfun, bonk and raydium."""
    return _LOCAL_CHAIN_TOKENS if uses_local_chain(settings) else _PAPER_TOKENS


def audit(settings: Settings) -> str:
    """Audit the books of the market. Returns the result in a line, or raises :class:`DemoError`."""
    return _audit_chain(settings) if uses_local_chain(settings) else _audit_ledger(settings)


def _audit_ledger(settings: Settings) -> str:
    with connect(settings) as store:
        books = ledger.audit(store)
    _check("the paper market's ledger does not balance", books.discrepancies)
    return f"The paper market's ledger balances: {books.entries} entries."


def _audit_chain(settings: Settings) -> str:
    wallets = SignerClient.from_settings(settings).addresses(USER_ID)
    found = import_module(_CHAIN_AUDIT).audit_cluster(settings, wallets)
    _check("the chain's transactions do not add up", found.discrepancies)
    return (
        f"The chain's {found.transactions} transactions of {len(wallets)} wallets add up, "
        f"and each of the {len(found.executions)} executed orders executed once."
    )


def _check(problem: str, discrepancies: Sequence[str]) -> None:
    if discrepancies:
        raise DemoError(f"{problem}: {'; '.join(discrepancies)}")
