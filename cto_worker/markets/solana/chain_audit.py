"""An audit of wallets from the chain alone: no intent executed twice, and lamports are conserved.

It uses neither the store nor the worker's records.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cto_worker.markets.solana.cluster import providers_and_cluster
from cto_worker.markets.solana.orders.memo import digest_in
from cto_worker.markets.solana.receipts import Receipt, receipt_of
from cto_worker.markets.solana.rpc_client import NoAnswerError, Provider, Providers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cto_worker.config import Settings

_PAGE = 1_000
_CONFIRMED = {"commitment": "confirmed"}


@dataclass(slots=True)
class ChainAudit:
    """The result of an audit of wallets, as ``cto market chain -o json`` prints it."""

    balances: dict[str, int]  # lamports by wallet
    transactions: int = 0
    fees: int = 0  # lamports that the wallets paid
    executions: dict[str, list[str]] = field(default_factory=dict)  # signatures by an intent's digest
    discrepancies: list[str] = field(default_factory=list)


def audit_cluster(settings: Settings, wallets: Iterable[str]) -> ChainAudit:
    """Return the audit of wallets on the cluster of the settings.

    Raises :class:`~cto_worker.errors.ConfigError`, and :class:`~cto_worker.errors.MarketError` if the
    providers serve another cluster.
    """
    providers, cluster = providers_and_cluster(settings)
    cluster.genesis_hash()
    return audit(providers, list(wallets))


def audit_node(url: str, wallets: Iterable[str]) -> ChainAudit:
    """Return the audit of wallets with the history of the node at ``url``."""
    return audit(Providers([Provider(url)]), list(wallets))


def audit(providers: Providers, wallets: list[str]) -> ChainAudit:
    """Return the audit of wallets, whose whole history the providers must have.

    Raises :class:`~cto_worker.errors.MarketError`.
    """
    result = ChainAudit(dict.fromkeys(wallets, 0))
    memos = {entry["signature"]: entry["memo"] for wallet in wallets for entry in _history(providers, wallet)}
    changes: Counter[str] = Counter()
    for signature, memo in memos.items():
        receipt = _receipt(providers, signature)
        _count(result, signature, digest_in(memo), receipt)
        changes.update({wallet: receipt.lamports.get(wallet, 0) for wallet in wallets})
    for wallet in result.balances:
        held = result.balances[wallet] = providers.read("getBalance", wallet, _CONFIRMED)["value"]
        if held != changes[wallet]:
            result.discrepancies.append(
                f"wallet {wallet} holds {held} lamports, but its transactions add up to {changes[wallet]}"
            )
    result.discrepancies += [
        f"the intent with the digest {digest} executed {len(signatures)} times: {', '.join(signatures)}"
        for digest, signatures in result.executions.items()
        if len(signatures) > 1
    ]
    return result


def _count(result: ChainAudit, signature: str, digest: str | None, receipt: Receipt) -> None:
    result.transactions += 1
    # Any account can copy a memo into a transaction that sends SOL to a wallet. Only transactions that a
    # wallet paid for count.
    if receipt.payer in result.balances:
        result.fees += receipt.fee
        if digest and receipt.error is None:
            result.executions.setdefault(digest, []).append(signature)
    if sum(receipt.lamports.values()) != -receipt.fee:
        result.discrepancies.append(
            f"the balances of transaction {signature} change by {sum(receipt.lamports.values())} lamports, "
            f"and its fee is {receipt.fee}"
        )


def _history(providers: Providers, wallet: str) -> Iterator[dict[str, Any]]:
    """Yield the entries of a wallet's history, newest first."""
    config: dict[str, Any] = {**_CONFIRMED, "limit": _PAGE}
    while page := providers.read("getSignaturesForAddress", wallet, config):
        yield from page
        config["before"] = page[-1]["signature"]


def _receipt(providers: Providers, signature: str) -> Receipt:
    config = {**_CONFIRMED, "encoding": "json", "maxSupportedTransactionVersion": 0}
    document = providers.read("getTransaction", signature, config)
    if not document:
        raise NoAnswerError(f"no provider has the transaction {signature}, which is in a wallet's history")
    return receipt_of(document)
