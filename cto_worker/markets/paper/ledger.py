"""The paper market's ledger: double-entry bookkeeping, and an audit of entries and balances."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cto_worker.markets.paper.market import address
from cto_worker.store import keys

if TYPE_CHECKING:
    from collections.abc import Iterable

    from redis import Redis

SOL = "SOL"
CURVE = "curve:"  # + mint: the account of a bonding curve
# Entries without postings: an order that arrived after its expiry; in earlier releases, a second order for an
# intent.
NOT_EXECUTED = {"expired", "refused"}


@dataclass(frozen=True, slots=True)
class Posting:
    """A change of one account: lamports of SOL, or base units of a mint."""

    account: str  # an address, "curve:<mint>", "deposits", "platform_fees", "network_fees" or "priority_fees"
    asset: str
    amount: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A movement, or an order that was not executed. Its postings sum to zero for each asset."""

    entry_id: str  # id in the stream: milliseconds since the epoch, and a counter
    kind: str  # deposit, transfer, buy, failed_transfer, failed_buy, expired, refused or reset
    intent_id: str
    user_id: str
    signature: str  # the order's; "" for a deposit or reset
    postings: tuple[Posting, ...]

    @property
    def executed(self) -> bool:
        """Whether this is the execution of an order, successful or failed."""
        return bool(self.intent_id) and self.kind not in NOT_EXECUTED


@dataclass(frozen=True, slots=True)
class Audit:
    """The result of an audit. ``discrepancies`` is empty if and only if the books balance."""

    entries: int
    totals_lamports: dict[str, int]  # by kind of account: deposits, wallets, curves and the three fees
    discrepancies: tuple[str, ...]


def entries(store: Redis) -> list[Entry]:
    """Return all entries of the ledger, oldest first."""
    rows: Any = store.xrange(keys.PAPER_LEDGER)
    return [
        Entry(
            entry_id=entry_id.decode(),
            kind=fields[b"kind"].decode(),
            intent_id=fields[b"intent"].decode(),
            user_id=fields[b"user"].decode(),
            signature=fields.get(b"signature", b"").decode(),
            postings=tuple(Posting(*posting) for posting in json.loads(fields[b"postings"])),
        )
        for entry_id, fields in rows
    ]


def audit(store: Redis) -> Audit:
    """Audit the ledger and the balances.

    Checks that each entry balances, that each intent was executed at most once, and that each balance is the
    sum of its postings. No order may be executed meanwhile: it would appear as a discrepancy, because ledger
    and balances are read separately.
    """
    ledger = entries(store)
    discrepancies = [f"entry {entry.entry_id} does not balance" for entry in ledger if _imbalance(entry)]
    intents = Counter(entry.intent_id for entry in ledger if entry.executed)
    discrepancies += [
        f"intent {intent_id} was executed {times} times" for intent_id, times in intents.items() if times > 1
    ]
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for entry in ledger:
        for posting in entry.postings:
            sums[posting.account, posting.asset] += posting.amount
    balances = _balances(store, ledger)
    for account, asset in sorted({*balances, *(key for key in sums if _has_balance(key[0]))}):
        booked, balance = sums.get((account, asset), 0), balances.get((account, asset), 0)
        if booked != balance:
            discrepancies.append(f"{account} holds {balance} of {asset}, but its entries sum to {booked}")
    totals: dict[str, int] = defaultdict(int)
    for (account, asset), amount in sums.items():
        if asset == SOL:
            totals[_kind(account)] += amount
    return Audit(len(ledger), dict(sorted(totals.items())), tuple(discrepancies))


def wallets(store: Redis, user_id: str) -> list[dict[str, Any]]:
    """Return a user's wallets, the funding wallet first.

    Each has ``address``, ``kind`` (``funding`` or ``operation``), ``lamports``, and ``tokens``: base units by
    mint.
    """
    balances: Any = store.hgetall(keys.paper_wallets(user_id))
    tokens: Any = store.hgetall(keys.paper_tokens(user_id))
    holdings: dict[str, dict[str, int]] = defaultdict(dict)
    for field, amount in tokens.items():
        owner, mint = field.decode().split(":")
        holdings[owner][mint] = int(amount)
    names = [address(user_id, index) for index in range(len(balances))]
    return [
        {
            "address": name,
            "kind": "operation" if index else "funding",
            "lamports": int(balances[name.encode()]),
            "tokens": holdings.get(name, {}),
        }
        for index, name in enumerate(names)
    ]


def mints(ledger: Iterable[Entry]) -> list[str]:
    """Return the mints of all curves that have an entry."""
    accounts = {posting.account for entry in ledger for posting in entry.postings}
    return sorted(name.removeprefix(CURVE) for name in accounts if name.startswith(CURVE))


def _imbalance(entry: Entry) -> bool:
    sums: Counter[str] = Counter()
    for posting in entry.postings:
        sums[posting.asset] += posting.amount
    return any(sums.values())


def _balances(store: Redis, ledger: list[Entry]) -> dict[tuple[str, str], int]:
    """Return the balances of wallets and curves, by account and asset.

    The users and mints are taken from the ledger. It is complete, because each wallet and each curve starts
    with an entry. The store's keys are not listed, because a worker's ACL user may not do so.
    """
    users = sorted({entry.user_id for entry in ledger})
    names = mints(ledger)
    balances: dict[tuple[str, str], int] = {}
    for wallets_of_user in _hashes(store, map(keys.paper_wallets, users)):
        for name, lamports in wallets_of_user.items():
            balances[name.decode(), SOL] = int(lamports)
    for tokens_of_user in _hashes(store, map(keys.paper_tokens, users)):
        for field, amount in tokens_of_user.items():
            owner, mint = field.decode().split(":")
            balances[owner, mint] = int(amount)
    for mint, state in zip(names, _hashes(store, map(keys.paper_curve, names)), strict=True):
        balances[CURVE + mint, SOL] = int(state.get(b"sol", 0))
        balances[CURVE + mint, mint] = -int(state.get(b"sold", 0))
    return balances


def _hashes(store: Redis, names: Iterable[str]) -> list[dict[bytes, bytes]]:
    """Return several hashes, read in one round trip. A missing hash is empty."""
    with store.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.hgetall(name)
        hashes: list[dict[bytes, bytes]] = pipeline.execute()
    return hashes


def _has_balance(account: str) -> bool:
    return account != "deposits" and not account.endswith("_fees")


def _kind(account: str) -> str:
    if not _has_balance(account):
        return account
    return "curves" if account.startswith(CURVE) else "wallets"
