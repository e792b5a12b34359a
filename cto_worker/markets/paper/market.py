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

from cto_worker.domain.lamports import LAMPORTS_PER_SOL, to_lamports
from cto_worker.domain.market_port import (
    Account,
    Buy,
    Order,
    Outcome,
    OutcomeStatus,
    Rejection,
    Strategy,
    Transfer,
)
from cto_worker.domain.progress_event import dumps
from cto_worker.errors import MarketError, OrderRejectedError
from cto_worker.markets.paper import bonding_curve
from cto_worker.markets.paper.quotes import Quotes
from cto_worker.store import keys
from cto_worker.store.script_runner import Script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from redis import Redis

    from cto_worker.config import Settings

NETWORK_FEE_LAMPORTS = 5_000  # Solana's base fee for one signature

STRATEGIES = {
    "pumpfun": Strategy("pumpfun", 500, 5 * LAMPORTS_PER_SOL, 100_000, 50),
    "bonk": Strategy("bonk", 300, 3 * LAMPORTS_PER_SOL, 50_000, 50),
    "raydium": Strategy("raydium", 100, 10 * LAMPORTS_PER_SOL, 20_000, 100),
}
PLATFORMS = tuple(STRATEGIES)
_SUFFIXES = {"pump": "pumpfun", "bonk": "bonk"}
_EXECUTED_FIELDS = ("kind", "source", "target", "lamports", "min_tokens", "priority_fee")  # of a payload
AFTER_TIMEOUT_S = 1.0  # time from the timeout until a late outcome is reported, or a late order is executed


class _Fault(Enum):
    LOST = auto()  # the order is executed, but the reply to its submission is lost
    SILENT = auto()  # the order is executed, but its outcome is reported only after the timeout
    LATE = auto()  # the order is executed only after the timeout


class PaperMarket:
    """Implements :class:`cto_worker.domain.market_port.Market`. A call takes one round trip to the store."""

    platforms = PLATFORMS

    @classmethod
    def from_settings(cls, settings: Settings, connect: Callable[[str], Redis]) -> PaperMarket:
        """See :meth:`cto_worker.domain.market_port.MarketType.from_settings`."""
        return cls(connect(settings.paper_url), settings)

    @classmethod
    def account_reader(cls, settings: Settings, store: Redis) -> Callable[[str, int], Account] | None:
        """See :func:`cto_worker.market_registry.account_reader`. ``None`` with a store of its own."""
        if settings.paper_url:
            return None
        initial = to_lamports(settings.paper_balance_sol)

        def read(user_id: str, wallet_count: int) -> Account:
            addresses = [address(user_id, index) for index in range(wallet_count + 1)]
            found: Any = store.hmget(keys.paper_wallets(user_id), addresses)
            balances = [initial if lamports is None else int(lamports) for lamports in found]
            funding, *wallets = zip(addresses, balances, strict=True)
            return Account(*funding, dict(wallets))

        return read

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
        self._outcomes = Script(store, "outcomes", __package__)

    def account(self, user_id: str, wallet_count: int) -> Account:
        """See :meth:`cto_worker.domain.market_port.Market.account`. Opens missing wallets."""
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
        """See :meth:`cto_worker.domain.market_port.Market.detect`. Mints of launchpads have a suffix."""
        return STRATEGIES[_SUFFIXES.get(token_address[-4:], "raydium")]

    def strategy(self, platform: str) -> Strategy:
        """See :meth:`cto_worker.domain.market_port.Market.strategy`."""
        if platform not in STRATEGIES:
            known = ", ".join(STRATEGIES)
            raise OrderRejectedError(
                "platform_unsupported", f"the platform {platform} is not supported: use one of {known}"
            )
        return STRATEGIES[platform]

    def transfer_fee(self) -> int:
        """See :meth:`cto_worker.domain.market_port.Market.transfer_fee`."""
        return NETWORK_FEE_LAMPORTS

    def buy_fee(self, strategy: Strategy) -> int:
        """See :meth:`cto_worker.domain.market_port.Market.buy_fee`."""
        return NETWORK_FEE_LAMPORTS + strategy.priority_fee_lamports

    def prepare(self, intents: Sequence[Transfer | Buy]) -> list[Order | Rejection]:
        """See :meth:`cto_worker.domain.market_port.Market.prepare`.

        A quote's minimum number of tokens is part of the signed bytes.
        """
        sources = list({_source(intent) for intent in intents})
        mint = next((intent.token_address for intent in intents if isinstance(intent, Buy)), "")
        with _store_errors():
            gained, sold, *balances = self._quote(
                sources, wallets=keys.paper_wallets(intents[0].user_id), curve=keys.paper_curve(mint)
            )
        lamports = {
            name: None if text is None else int(text) for name, text in zip(sources, balances, strict=True)
        }
        quotes = Quotes(lamports, int(gained), int(sold))
        return [_prepared(intent, quotes) for intent in intents]

    def submit(self, orders: Sequence[Order]) -> None:
        """See :meth:`cto_worker.domain.market_port.Market.submit`. All orders execute in one atomic step.

        Only the first of several orders for one intent is executed.
        """
        faults = {order.intent_id: self._fault(order.intent_id) for order in orders}
        for order in orders:
            if faults[order.intent_id] is _Fault.LATE:
                timer = threading.Timer(self.patience_s + AFTER_TIMEOUT_S, self._execute, [[order]])
                timer.daemon = True
                timer.start()
        if in_time := [order for order in orders if faults[order.intent_id] is not _Fault.LATE]:
            self._execute(in_time)
        if _Fault.LOST in faults.values():
            raise MarketError("the reply was lost, simulated by CTO_PAPER_LOST_RATE")

    def outcomes(self, orders: Sequence[Order], *, wait_s: float) -> dict[str, Outcome]:
        """See :meth:`cto_worker.domain.market_port.Market.outcomes`.

        No outcome is known if no order was submitted for the intent, or if a different one was.
        """
        with _store_errors():
            answers = self._outcomes([order.intent_id for order in orders])
        hidden_s: dict[str, float] = {}
        outcomes: dict[str, Outcome] = {}
        for order, (signature, *fields, age_ms) in zip(orders, answers, strict=True):
            if signature and signature.decode() == order.signature:
                hidden_s[order.intent_id] = self._hidden_s(order.intent_id, age_ms)
                outcomes[order.intent_id] = _outcome(order, fields)
        waited_s = min(wait_s, max(0.0, min(hidden_s.values(), default=wait_s)))
        if waited_s:
            time.sleep(waited_s)
        completed = sorted(hidden_s, key=hidden_s.__getitem__)
        return {name: outcomes[name] for name in completed if hidden_s[name] <= waited_s}

    def _hidden_s(self, intent_id: str, age_ms: int) -> float:
        """Return the seconds until the outcome of an order is reported that was executed ``age_ms`` ago."""
        hidden_s = (self._latency_ms - age_ms) / 1000
        if self._fault(intent_id) is _Fault.SILENT:
            hidden_s += self.patience_s + AFTER_TIMEOUT_S
        return hidden_s

    def _execute(self, orders: Sequence[Order]) -> None:
        documents = [json.loads(order.payload) for order in orders]
        user_id = documents[0]["user"]
        mint = next((fields["target"] for fields in documents if fields["kind"] == "buy"), "")
        rows: list[Any] = []
        for order, fields in zip(orders, documents, strict=True):
            fails = int(_chance(order.intent_id) < self._failure_rate)
            rows += [order.intent_id, order.signature, fails, *map(fields.__getitem__, _EXECUTED_FIELDS)]
        with _store_errors():
            self._submit(
                rows,
                wallets=keys.paper_wallets(user_id),
                tokens=keys.paper_tokens(user_id),
                curve=keys.paper_curve(mint),
                user=user_id,
                network_fee=NETWORK_FEE_LAMPORTS,
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


def _source(intent: Transfer | Buy) -> str:
    return intent.source if isinstance(intent, Transfer) else intent.wallet


def _prepared(intent: Transfer | Buy, quotes: Quotes) -> Order | Rejection:
    try:
        if isinstance(intent, Transfer):
            quotes.pay(intent.source, intent.lamports + NETWORK_FEE_LAMPORTS)
            return _sign("transfer", intent, intent.source, intent.destination)
        tokens = quotes.buy(
            intent.wallet, intent.lamports, NETWORK_FEE_LAMPORTS + intent.priority_fee_lamports
        )
        min_tokens = tokens * (10_000 - intent.slippage_bps) // 10_000
        return _sign("buy", intent, intent.wallet, intent.token_address, min_tokens)
    except OrderRejectedError as rejection:
        return Rejection(rejection.code, str(rejection))


def _outcome(order: Order, fields: list[bytes]) -> Outcome:
    status, spent, tokens, code, error = (field.decode() for field in fields)
    return Outcome(OutcomeStatus(status), order.signature, int(spent), int(tokens), code, error)


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
