"""The markets of the demonstration: the audit of their books."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from api.cli.system.demo_tokens import uses_local_chain
from cto_worker.errors import CtoError
from cto_worker.markets.paper import ledger
from cto_worker.signer.client import SignerClient
from cto_worker.store.store_connection import connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cto_worker.config import Settings

USER_ID = "demo"
_CHAIN_AUDIT = "cto_worker.markets.solana.chain_audit"  # needs the packages of cto[solana]


class DemoError(CtoError):
    """An operation of the demonstration had an unexpected result, or the system did not start."""


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
