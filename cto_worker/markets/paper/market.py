"""The paper market: simulated wallets, a bonding curve per token, and a ledger, in the store. No real money.

It behaves like a real market. Buys move the price, and a buy fails if the price has moved beyond the slippage
limit. Failed transactions cost fees. An order is executed at most once, however often it is sent. Every user
id is accepted, and each new wallet contains ``CTO_PAPER_BALANCE_SOL``.

``CTO_PAPER_LATENCY_MS`` is the time from the submission of an order until its outcome is known.
``CTO_PAPER_FAILURE_RATE`` is the fraction of orders that fail. ``CTO_PAPER_LOST_RATE``,
``CTO_PAPER_SILENT_RATE`` and ``CTO_PAPER_LATE_RATE`` are the fractions with a lost reply, a late outcome and
a late execution. The intent's id selects the orders, so the same intent always behaves in the same way.
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

from cto_worker.domain.lamports import LAMPORTS_PER_SOL, to_lamports, to_sol
from cto_worker.domain.market import Account, Buy, Order, Outcome, OutcomeStatus, Strategy, Transfer
from cto_worker.domain.progress_event import dumps
from cto_worker.errors import MarketError, OrderRejectedError
from cto_worker.markets.paper import bonding_curve
from cto_worker.store import keys
from cto_worker.store.script_runner import Script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
AFTER_TIMEOUT_S = 1.0  # time from the timeout until a late outcome is reported, or a late order is executed


class _Fault(Enum):
    LOST = auto()  # the order is executed, but the reply to its submission is lost
    SILENT = auto()  # the order is executed, but its outcome is reported only after the timeout
    LATE = auto()  # the order is executed only after the timeout


class PaperMarket:
    """Implements :class:`cto_worker.domain.market.Market`. Each call takes one round trip to the store."""

    platforms = PLATFORMS

    @classmethod
    def from_settings(cls, settings: Settings, connect: Callable[[str], Redis]) -> PaperMarket:
        """See :meth:`cto_worker.domain.market.MarketType.from_settings`."""
        return cls(connect(settings.paper_url), settings)

    def __init__(self, store: Redis, settings: Settings) -> None:
        self._store = store
        self._balance_lamports = to_lamports(settings.paper_balance_sol)
        self._latency_ms = settings.paper_latency_ms
        self._failure_rate = settings.paper_failure_rate
        self._fault_rates = {
            _Fault.LOST: settings.paper_lost_rate,
            _Fault.SILENT: settings.paper_silent_rate,
            _Fault.LATE: settings.paper_late_rate,
        }
        self.patience_s = (settings.paper_latency_ms + settings.paper_timeout_ms) / 1000
        self._open = Script(store, "open", __package__)
        self._quote = Script(store, "quote", __package__)
        self._submit = Script(store, "submit", __package__)
        self._outcome = Script(store, "outcome", __package__)

    def account(self, user_id: str, wallet_count: int) -> Account:
        """See :meth:`cto_worker.domain.market.Market.account`. Opens missing wallets."""
        addresses = [address(user_id, index) for index in range(wallet_count + 1)]
        with _store_errors():
            answer = self._open(
                addresses,
                wallets=keys.paper_wallets(user_id),
                user=user_id,
                lamports=self._balance_lamports,
            )
        balances = {name.decode(): int(lamports) for name, lamports in zip(*[iter(answer)] * 2, strict=True)}
        funding, *wallets = (address(user_id, index) for index in range(len(balances)))
        return Account(funding, balances[funding], {wallet: balances[wallet] for wallet in wallets})

    def detect(self, token_address: str) -> Strategy:
        """See :meth:`cto_worker.domain.market.Market.detect`. Launchpads use a suffix for their mints."""
        return STRATEGIES[_SUFFIXES.get(token_address[-4:], "raydium")]

    def strategy(self, platform: str) -> Strategy:
        """See :meth:`cto_worker.domain.market.Market.strategy`."""
        if platform not in STRATEGIES:
            known = ", ".join(STRATEGIES)
            raise OrderRejectedError(
                "platform_unsupported", f"the platform {platform} is not supported: use one of {known}"
            )
        return STRATEGIES[platform]

    def transfer_fee(self) -> int:
        """See :meth:`cto_worker.domain.market.Market.transfer_fee`."""
        return NETWORK_FEE_LAMPORTS

    def buy_fee(self, strategy: Strategy) -> int:
        """See :meth:`cto_worker.domain.market.Market.buy_fee`."""
        return NETWORK_FEE_LAMPORTS + strategy.priority_fee_lamports

    def prepare(self, intent: Transfer | Buy) -> Order:
        """See :meth:`cto_worker.domain.market.Market.prepare`.

        The quote's minimum number of tokens is part of the signed bytes.
        """
        if isinstance(intent, Transfer):
            with _store_errors():
                balance: Any = self._store.hget(keys.paper_wallets(intent.user_id), intent.source)
            _check(balance, intent.source, intent.lamports + NETWORK_FEE_LAMPORTS)
            return _sign("transfer", intent, intent.source, intent.destination)
        with _store_errors():
            balance, gained, sold = self._quote(
                wallets=keys.paper_wallets(intent.user_id),
                curve=keys.paper_curve(intent.token_address),
                wallet=intent.wallet,
            )
        fees = NETWORK_FEE_LAMPORTS + intent.priority_fee_lamports
        _check(balance, intent.wallet, intent.lamports + fees)
        quote = bonding_curve.tokens_for(intent.lamports, int(gained), int(sold))
        if quote > bonding_curve.TOKENS_FOR_SALE - int(sold):
            raise OrderRejectedError(
                "insufficient_liquidity", "the curve has too few tokens left: buy for a smaller amount"
            )
        min_tokens = quote * (10_000 - intent.slippage_bps) // 10_000
        return _sign("buy", intent, intent.wallet, intent.token_address, min_tokens)

    def submit(self, order: Order) -> None:
        """See :meth:`cto_worker.domain.market.Market.submit`.

        Only the first of several orders for one intent is executed.
        """
        fault = self._fault(order.intent_id)
        if fault is _Fault.LATE:
            timer = threading.Timer(self.patience_s + AFTER_TIMEOUT_S, self._execute, [order])
            timer.daemon = True
            timer.start()
            return
        self._execute(order)
        if fault is _Fault.LOST:
            raise MarketError("the reply was lost, simulated by CTO_PAPER_LOST_RATE")

    def outcome(self, order: Order, *, wait_s: float) -> Outcome:
        """See :meth:`cto_worker.domain.market.Market.outcome`.

        Returns ``UNKNOWN`` if no order was submitted for the intent, or if a different one was.
        """
        with _store_errors():
            signature, status, spent, tokens, code, error, age_ms = self._outcome(
                intent=keys.paper_intent(order.intent_id)
            )
        unknown = Outcome(OutcomeStatus.UNKNOWN, order.signature)
        if signature is None or signature.decode() != order.signature:
            time.sleep(wait_s)
            return unknown
        hidden_s = (self._latency_ms - age_ms) / 1000
        if self._fault(order.intent_id) is _Fault.SILENT:
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
                intent=keys.paper_intent(order.intent_id),
                wallets=keys.paper_wallets(user_id),
                tokens=keys.paper_tokens(user_id),
                curve=keys.paper_curve(target),
                kind=fields["kind"],
                intent_id=order.intent_id,
                signature=order.signature,
                user=user_id,
                source=fields["source"],
                target=target,
                lamports=fields["lamports"],
                min_tokens=fields["min_tokens"],
                network_fee=NETWORK_FEE_LAMPORTS,
                priority_fee=fields["priority_fee"],
                fails=int(_chance(order.intent_id) < self._failure_rate),
                virtual_lamports=bonding_curve.VIRTUAL_LAMPORTS,
                virtual_tokens=bonding_curve.VIRTUAL_TOKENS,
                for_sale=bonding_curve.TOKENS_FOR_SALE,
                fee_bps=bonding_curve.FEE_BPS,
            )

    def _fault(self, intent_id: str) -> _Fault | None:
        """Return the fault that is simulated for an intent, selected by its id."""
        remainder = _chance(f"fate of {intent_id}")
        for fault, rate in self._fault_rates.items():
            if remainder < rate:
                return fault
            remainder -= rate
        return None


@contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise MarketError(f"the paper market's store does not answer: {error}") from error


@lru_cache(maxsize=4_096)
def address(user_id: str, index: int) -> str:
    """Return the address of a user's paper wallet. Index 0 is the funding wallet."""
    return base58.b58encode(hashlib.sha256(f"paper wallet {index} of {user_id}".encode()).digest()).decode()


def _check(balance: bytes | None, wallet: str, lamports: int) -> None:
    if balance is None:
        raise OrderRejectedError("wallet_unknown", f"the wallet {wallet} does not exist")
    if int(balance) < lamports:
        available, needed = to_sol(int(balance)), to_sol(lamports)
        raise OrderRejectedError(
            "insufficient_funds",
            f"wallet {wallet} holds {available:.9g} SOL, but {needed:.9g} SOL are needed",
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
