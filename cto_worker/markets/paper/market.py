"""The paper market: wallets, a bonding curve per token and a ledger, kept in the store. No real money.

It behaves as a market does: buys move the price, slippage limits make buys fail once it has moved, failed
transactions still cost fees, and an order is executed at most once however often it is sent. Every user
exists; each wallet is opened with ``CTO_PAPER_BALANCE_SOL``. ``CTO_PAPER_LATENCY_MS`` is the time from
submission until an outcome is known; ``CTO_PAPER_FAILURE_RATE`` the part of transactions that fail, picked
by the intent's id, so that the same intent always meets the same fate. ``CTO_PAPER_LOST_RATE`` and its like
are the parts of which the market executes but the reply is lost, or no outcome comes in time, or execution
itself is late.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from contextlib import contextmanager
from enum import Enum, auto
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import base58
from redis.exceptions import RedisError

from cto_worker.domain.events import dumps
from cto_worker.domain.market import Account, Buy, Order, Outcome, OutcomeStatus, Strategy, Transfer
from cto_worker.domain.money import LAMPORTS_PER_SOL, to_lamports, to_sol
from cto_worker.errors import MarketError, OrderRejectedError
from cto_worker.markets.paper import bonding_curve
from cto_worker.store import keys
from cto_worker.store.scripts import script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from cto_worker.config import Settings

NETWORK_FEE_LAMPORTS = 5_000  # Solana's base fee for one signature

STRATEGIES = {
    "pumpfun": Strategy("pumpfun", 500, 5 * LAMPORTS_PER_SOL, 100_000),
    "bonk": Strategy("bonk", 300, 3 * LAMPORTS_PER_SOL, 50_000),
    "raydium": Strategy("raydium", 100, 10 * LAMPORTS_PER_SOL, 20_000),
}
PLATFORMS = tuple(STRATEGIES)
_SUFFIXES = {"pump": "pumpfun", "bonk": "bonk"}
AFTER_TIMEOUT_S = 1.0  # how long after the time-out a silent or late order comes to light


class _Fate(Enum):
    LOST = auto()  # executed, but the reply to the submission is lost
    SILENT = auto()  # executed, but no outcome is told in time
    LATE = auto()  # executed after the time-out


class PaperMarket:
    """Implements :class:`cto_worker.domain.market.Market`; each step is one round trip to the store."""

    def __init__(self, store: Redis, settings: Settings) -> None:
        self._store = store
        self._balance_lamports = to_lamports(settings.paper_balance_sol)
        self._latency_ms = settings.paper_latency_ms
        self._failure_rate = settings.paper_failure_rate
        self._fates = {
            _Fate.LOST: settings.paper_lost_rate,
            _Fate.SILENT: settings.paper_silent_rate,
            _Fate.LATE: settings.paper_late_rate,
        }
        self.patience_s = (settings.paper_latency_ms + settings.paper_timeout_ms) / 1000
        self._open = script(store, "open", __package__)
        self._quote = script(store, "quote", __package__)
        self._submit = script(store, "submit", __package__)
        self._outcome = script(store, "outcome", __package__)

    def account(self, user_id: str, wallet_count: int) -> Account:
        """See :meth:`cto_worker.domain.market.Market.account`. Opens what wallets are not open yet."""
        wanted = [address(user_id, index) for index in range(wallet_count + 1)]
        with _store_errors():
            found = self._open(
                keys=[keys.paper_wallets(user_id), keys.PAPER_LEDGER],
                args=[user_id, self._balance_lamports, *wanted],
            )
        balances = {name.decode(): int(lamports) for name, lamports in zip(*[iter(found)] * 2, strict=True)}
        funding, *wallets = (address(user_id, index) for index in range(len(balances)))
        return Account(funding, balances[funding], {wallet: balances[wallet] for wallet in wallets})

    def detect(self, token_address: str) -> Strategy:
        """See :meth:`cto_worker.domain.market.Market.detect`. Launchpads mark their mints by the ending."""
        return STRATEGIES[_SUFFIXES.get(token_address[-4:], "raydium")]

    def strategy(self, platform: str) -> Strategy:
        """See :meth:`cto_worker.domain.market.Market.strategy`."""
        if platform not in STRATEGIES:
            known = ", ".join(STRATEGIES)
            raise OrderRejectedError("platform_unsupported", f"{platform} is none of: {known}")
        return STRATEGIES[platform]

    def transfer_fee(self) -> int:
        """See :meth:`cto_worker.domain.market.Market.transfer_fee`."""
        return NETWORK_FEE_LAMPORTS

    def buy_fee(self, strategy: Strategy) -> int:
        """See :meth:`cto_worker.domain.market.Market.buy_fee`."""
        return NETWORK_FEE_LAMPORTS + strategy.priority_fee_lamports

    def prepare(self, intent: Transfer | Buy) -> Order:
        """See :meth:`cto_worker.domain.market.Market.prepare`.

        The quote's minimum of tokens is part of the bytes.
        """
        if isinstance(intent, Transfer):
            with _store_errors():
                balance: Any = self._store.hget(keys.paper_wallets(intent.user_id), intent.source)
            _check(balance, intent.source, intent.lamports + NETWORK_FEE_LAMPORTS)
            return _sign("transfer", intent, intent.source, intent.destination)
        with _store_errors():
            balance, gained, sold = self._quote(
                keys=[keys.paper_wallets(intent.user_id), keys.paper_curve(intent.token_address)],
                args=[intent.wallet],
            )
        fees = NETWORK_FEE_LAMPORTS + intent.priority_fee_lamports
        _check(balance, intent.wallet, intent.lamports + fees)
        quote = bonding_curve.tokens_for(intent.lamports, int(gained), int(sold))
        if quote > bonding_curve.TOKENS_FOR_SALE - int(sold):
            raise OrderRejectedError("insufficient_liquidity", "the curve has fewer tokens left than that")
        min_tokens = quote * (10_000 - intent.slippage_bps) // 10_000
        return _sign("buy", intent, intent.wallet, intent.token_address, min_tokens)

    def submit(self, order: Order) -> None:
        """See :meth:`cto_worker.domain.market.Market.submit`.

        Of several orders for one intent the first counts.
        """
        fate = self._fate(order.intent_id)
        if fate is _Fate.LATE:
            late = threading.Timer(self.patience_s + AFTER_TIMEOUT_S, self._execute, [order])
            late.daemon = True
            late.start()
            return
        self._execute(order)
        if fate is _Fate.LOST:
            raise MarketError("the paper market was told to lose this reply")

    def outcome(self, order: Order, *, wait_s: float) -> Outcome:
        """See :meth:`cto_worker.domain.market.Market.outcome`.

        ``UNKNOWN`` when nothing was ever submitted for the order's intent, or another order than this one.
        """
        with _store_errors():
            signature, status, spent, tokens, code, error, age_ms = self._outcome(
                keys=[keys.paper_intent(order.intent_id)]
            )
        unknown = Outcome(OutcomeStatus.UNKNOWN, order.signature)
        if signature is None or signature.decode() != order.signature:
            time.sleep(wait_s)
            return unknown
        hidden_s = (self._latency_ms - age_ms) / 1000
        if self._fate(order.intent_id) is _Fate.SILENT:
            hidden_s += self.patience_s + AFTER_TIMEOUT_S
        if hidden_s > 0:
            time.sleep(min(hidden_s, wait_s))
        if hidden_s > wait_s:
            return unknown
        return Outcome(
            status=OutcomeStatus(status.decode()),
            signature=order.signature,
            spent_lamports=int(spent),
            tokens=int(tokens),
            error_code=code.decode(),
            error=error.decode(),
        )

    def _execute(self, order: Order) -> None:
        fields = json.loads(order.payload)
        user_id, target = fields["user"], fields["target"]
        with _store_errors():
            self._submit(
                keys=[
                    keys.paper_intent(order.intent_id),
                    keys.paper_wallets(user_id),
                    keys.paper_tokens(user_id),
                    keys.paper_curve(target),
                    keys.PAPER_LEDGER,
                ],
                args=[
                    fields["kind"],
                    order.intent_id,
                    order.signature,
                    user_id,
                    fields["source"],
                    target,
                    fields["lamports"],
                    fields["min_tokens"],
                    NETWORK_FEE_LAMPORTS,
                    fields["priority_fee"],
                    int(_chance(order.intent_id) < self._failure_rate),
                    keys.PAPER_INTENT_TTL_S,
                    bonding_curve.VIRTUAL_LAMPORTS,
                    bonding_curve.VIRTUAL_TOKENS,
                    bonding_curve.TOKENS_FOR_SALE,
                    bonding_curve.FEE_BPS,
                ],
            )

    def _fate(self, intent_id: str) -> _Fate | None:
        """What befalls an intent's messages, picked by its id."""
        left = _chance(f"fate of {intent_id}")
        for fate, rate in self._fates.items():
            if left < rate:
                return fate
            left -= rate
        return None


@contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise MarketError(f"the paper market's store does not answer: {error}") from error


@lru_cache(maxsize=4_096)
def address(user_id: str, index: int) -> str:
    """The address of a user's paper wallet: 0 is the funding wallet, 1 and up are operation wallets."""
    return base58.b58encode(hashlib.sha256(f"paper wallet {index} of {user_id}".encode()).digest()).decode()


def _check(balance: bytes | None, wallet: str, lamports: int) -> None:
    if balance is None:
        raise OrderRejectedError("wallet_unknown", f"there is no wallet {wallet}")
    if int(balance) < lamports:
        held, needed = to_sol(int(balance)), to_sol(lamports)
        raise OrderRejectedError(
            "insufficient_funds", f"wallet {wallet} holds {held:.9g} SOL, {needed:.9g} SOL are needed"
        )


def _sign(kind: str, intent: Transfer | Buy, source: str, target: str, min_tokens: int = 0) -> Order:
    payload = dumps(
        {
            "kind": kind,
            "intent": intent.intent_id,
            "user": intent.user_id,
            "source": source,
            "target": target,
            "lamports": intent.lamports,
            "min_tokens": min_tokens,
            "priority_fee": intent.priority_fee_lamports if isinstance(intent, Buy) else 0,
            "prepared_ns": time.time_ns(),
        }
    )
    return Order(intent.intent_id, base58.b58encode(hashlib.sha512(payload).digest()).decode(), payload)


def _chance(intent_id: str) -> float:
    return int.from_bytes(hashlib.sha256(intent_id.encode()).digest()[:6]) / 2**48
