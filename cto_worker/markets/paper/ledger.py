"""The paper market's ledger: double entries, and the audit that they and the balances agree."""

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
_CURVE = "curve:"  # + mint: the account of a bonding curve
REFUSED = "refused"  # nothing moved: another order for an intent that had been executed, or failed, already


@dataclass(frozen=True, slots=True)
class Posting:
    """One account gains (or loses) lamports of SOL, or base units of a mint."""

    account: str  # an address, "curve:<mint>", "deposits", "platform_fees", "network_fees" or "priority_fees"
    asset: str
    amount: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One movement, or an order that was refused. Its postings sum to zero for every asset."""

    entry_id: str  # of the stream: milliseconds since the epoch and a counter
    kind: str  # deposit, transfer, buy, failed_transfer, failed_buy or refused
    intent_id: str
    user_id: str
    signature: str  # of the order; "" for a deposit
    postings: tuple[Posting, ...]


@dataclass(frozen=True, slots=True)
class Audit:
    """What the ledger adds up to. ``discrepancies`` is empty exactly when the books balance."""

    entries: int
    totals_lamports: dict[str, int]  # by kind of account: deposits, wallets, curves and the three fees
    discrepancies: tuple[str, ...]


def entries(store: Redis) -> list[Entry]:
    """Everything there ever was, oldest first."""
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
    """Check that every entry balances, no intent has two, and every balance is the sum of its postings.

    Meant for a quiet market: what moves between the reading of ledger and balances shows as a discrepancy.
    """
    ledger = entries(store)
    found = [f"entry {entry.entry_id} does not balance" for entry in ledger if _imbalance(entry)]
    intents = Counter(entry.intent_id for entry in ledger if entry.intent_id and entry.kind != REFUSED)
    found += [
        f"intent {intent_id} was executed {times} times" for intent_id, times in intents.items() if times > 1
    ]
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for entry in ledger:
        for posting in entry.postings:
            sums[posting.account, posting.asset] += posting.amount
    held = _held(store, ledger)
    for account, asset in sorted({*held, *(at for at in sums if _holds(at[0]))}):
        booked, balance = sums.get((account, asset), 0), held.get((account, asset), 0)
        if booked != balance:
            found.append(f"{account} holds {balance} of {asset}, but its entries sum to {booked}")
    totals: dict[str, int] = defaultdict(int)
    for (account, asset), amount in sums.items():
        if asset == SOL:
            totals[_kind(account)] += amount
    return Audit(len(ledger), dict(sorted(totals.items())), tuple(found))


def wallets(store: Redis, user_id: str) -> list[dict[str, Any]]:
    """A user's wallets: ``address``, ``kind`` (funding or operation), ``lamports`` and ``tokens`` by mint."""
    balances: Any = store.hgetall(keys.paper_wallets(user_id))
    tokens: Any = store.hgetall(keys.paper_tokens(user_id))
    holdings: dict[str, dict[str, int]] = defaultdict(dict)
    for at, amount in tokens.items():
        owner, mint = at.decode().split(":")
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


def _imbalance(entry: Entry) -> bool:
    sums: Counter[str] = Counter()
    for posting in entry.postings:
        sums[posting.asset] += posting.amount
    return any(sums.values())


def _held(store: Redis, ledger: list[Entry]) -> dict[tuple[str, str], int]:
    """What wallets and curves hold, by account and asset: of every user and mint that the ledger names.

    A wallet or a curve begins with an entry of its own, so nothing is left out; and a worker's user of the
    store may not list keys.
    """
    users = sorted({entry.user_id for entry in ledger})
    accounts = {posting.account for entry in ledger for posting in entry.postings}
    mints = sorted(name.removeprefix(_CURVE) for name in accounts if name.startswith(_CURVE))
    held: dict[tuple[str, str], int] = {}
    for balances in _hashes(store, map(keys.paper_wallets, users)):
        for name, lamports in balances.items():
            held[name.decode(), SOL] = int(lamports)
    for balances in _hashes(store, map(keys.paper_tokens, users)):
        for at, amount in balances.items():
            owner, mint = at.decode().split(":")
            held[owner, mint] = int(amount)
    for mint, state in zip(mints, _hashes(store, map(keys.paper_curve, mints)), strict=True):
        held[_CURVE + mint, SOL] = int(state.get(b"sol", 0))
        held[_CURVE + mint, mint] = -int(state.get(b"sold", 0))
    return held


def _hashes(store: Redis, names: Iterable[str]) -> list[dict[bytes, bytes]]:
    """Read these hashes in one round trip; one that is not there is empty."""
    with store.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.hgetall(name)
        found: list[dict[bytes, bytes]] = pipeline.execute()
    return found


def _holds(account: str) -> bool:
    return account != "deposits" and not account.endswith("_fees")


def _kind(account: str) -> str:
    if not _holds(account):
        return account
    return "curves" if account.startswith(_CURVE) else "wallets"
