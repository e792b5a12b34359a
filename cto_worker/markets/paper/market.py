"""The paper market: simulated wallets, a bonding curve per token, and a ledger, in the store. No real money.

It behaves like a chain. Buys move the price, and a buy fails if the price has moved beyond the slippage
limit. Failed transactions cost fees. An order is executed at most once, however often it is sent, and never
after it has expired. But two orders of one intent are two orders, and both would be executed. Every user id
is accepted, and each new wallet contains ``CTO_PAPER_BALANCE_SOL``.

``CTO_PAPER_LATENCY_MS`` is the time from the submission of an order until its outcome is known, and
``CTO_PAPER_EXPIRY_MS`` the time from its preparation until it expires, both in the store's time.
:mod:`cto_worker.markets.paper.faults` simulates faults.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
import uuid
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import base58
from redis.exceptions import RedisError

from cto_worker.domain.lamports import LAMPORTS_PER_SOL, to_lamports
from cto_worker.domain.market_port import (
    Account,
    Buy,
    MarketDescription,
    Money,
    Order,
    Outcome,
    Rejection,
    Strategy,
    Transfer,
)
from cto_worker.domain.progress_event import dumps
from cto_worker.errors import MarketError, OrderRejectedError
from cto_worker.markets.paper import bonding_curve
from cto_worker.markets.paper.faults import Fault, Faults
from cto_worker.markets.paper.order_outcomes import OutcomeReader, Quote
from cto_worker.markets.paper.outcome_reports import OutcomeReports
from cto_worker.markets.paper.quotes import Quotes
from cto_worker.store import keys
from cto_worker.store.script_runner import Script

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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


class PaperMarket:
    """Implements :class:`cto_worker.domain.market_port.Market`. A call takes one round trip to the store."""

    description = MarketDescription("paper: simulated", Money.SIMULATED)

    def __init__(self, store: Redis, settings: Settings) -> None:
        self._store = store
        self._balance_lamports = to_lamports(settings.paper_balance_sol)
        self._latency_ms = settings.paper_latency_ms
        self._expiry_ms = settings.paper_expiry_ms
        self._faults = Faults(settings)
        self.patience_s = (settings.paper_latency_ms + settings.paper_timeout_ms) / 1000
        self._open = Script(store, "open", __package__)
        self._quote = Script(store, "quote", __package__)
        self._submit = Script(store, "submit", __package__)
        self._reports = OutcomeReports(OutcomeReader(store), self._delay_ms)

    def check(self) -> str:
        """See :meth:`cto_worker.domain.market_port.Market.check`."""
        with _store_errors():
            self._store.ping()
        return "paper: simulated, no real money moves"

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

    def account_costs(
        self,
        strategy: Strategy,  # noqa: ARG002 - the same on each platform
        token_address: str,  # noqa: ARG002
        wallets: Sequence[str],  # noqa: ARG002
    ) -> Mapping[str, int]:
        """See :meth:`cto_worker.domain.market_port.Market.account_costs`. Accounts cost nothing."""
        return {}

    def prepare(self, intents: Sequence[Transfer | Buy]) -> list[Order | Rejection]:
        """See :meth:`cto_worker.domain.market_port.Market.prepare`.

        The minimum number of tokens and the time of expiry are part of the signed bytes. The context of the
        orders is the quote.
        """
        sources = list({_source(intent) for intent in intents})
        mint = next((intent.token_address for intent in intents if isinstance(intent, Buy)), "")
        with _store_errors():
            now_ms, ledger_id, number, gained, sold, *balances = self._quote(
                sources,
                wallets=keys.paper_wallets(intents[0].user_id),
                curve=keys.paper_curve(mint),
                new_id=uuid.uuid4().hex,
            )
        lamports = {
            name: None if text is None else int(text) for name, text in zip(sources, balances, strict=True)
        }
        quotes = Quotes(lamports, int(gained), int(sold))
        expires_ms = int(now_ms) + self._expiry_ms if self._expiry_ms else 0
        context = str(Quote(ledger_id.decode(), number))
        prepared = [_prepared(intent, quotes, expires_ms) for intent in intents]
        return [replace(each, context=context) if isinstance(each, Order) else each for each in prepared]

    def submit(self, orders: Sequence[Order]) -> None:
        """See :meth:`cto_worker.domain.market_port.Market.submit`. All orders execute in one atomic step."""
        faults = [self._faults.of(order) for order in orders]
        in_time: list[Order] = []
        for order, fault in zip(orders, faults, strict=True):
            if fault is Fault.LATE:
                timer = threading.Timer(self.patience_s + AFTER_TIMEOUT_S, self._execute, [[order]])
                timer.daemon = True
                timer.start()
            elif fault is not Fault.DROPPED:
                in_time.append(order)
        if in_time:
            self._execute(in_time)
        if Fault.LOST in faults:
            raise MarketError("the reply was lost, simulated by CTO_PAPER_LOST_RATE")

    def outcomes(self, orders: Sequence[Order], *, wait_s: float) -> dict[str, Outcome]:
        """See :meth:`cto_worker.domain.market_port.Market.outcomes`.

        The wait ends when the first order is known or expires. In the second case the store is asked again,
        because the order may have executed meanwhile. The outcome of an executed order is final, and is not
        queried again before it is reported.
        """
        with _store_errors():
            reports = self._reports.of(orders)
        now_s = time.monotonic()
        until_s = max(now_s, min([now_s + wait_s, *(report.at_s for report in reports.values())]))
        if until_s > now_s:
            time.sleep(until_s - now_s)
            if any(report.at_s <= until_s for report in reports.values() if not report.is_final):
                with _store_errors():
                    reports = self._reports.of(orders)
                until_s = time.monotonic()
        due = [name for name, report in reports.items() if report.is_final and report.at_s <= until_s]
        outcomes = {name: reports[name].outcome for name in sorted(due, key=lambda name: reports[name].at_s)}
        self._reports.forget(outcomes.values())
        return outcomes

    def _delay_ms(self, order: Order) -> int:
        """Return the time from the execution of an order until its outcome is reported."""
        if self._faults.of(order) is Fault.SILENT:
            return self._latency_ms + int((self.patience_s + AFTER_TIMEOUT_S) * 1_000)
        return self._latency_ms

    def _execute(self, orders: Sequence[Order]) -> None:
        documents = [json.loads(order.payload) for order in orders]
        user_id = documents[0]["user"]
        mint = next((fields["target"] for fields in documents if fields["kind"] == "buy"), "")
        rows: list[Any] = []
        for order, fields in zip(orders, documents, strict=True):
            fails, expires = int(self._faults.fails(order)), fields.get("expires", 0)  # an earlier release: 0
            rows += [order.intent_id, order.signature, fails, expires]
            rows += map(fields.__getitem__, _EXECUTED_FIELDS)
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


def _prepared(intent: Transfer | Buy, quotes: Quotes, expires_ms: int) -> Order | Rejection:
    try:
        if isinstance(intent, Transfer):
            quotes.pay(intent.source, intent.lamports + NETWORK_FEE_LAMPORTS)
            return _sign(intent, expires_ms)
        fees = NETWORK_FEE_LAMPORTS + intent.priority_fee_lamports
        tokens = quotes.buy(intent.wallet, intent.lamports, fees, intent.min_tokens)
        return _sign(
            intent, expires_ms, intent.min_tokens or tokens * (10_000 - intent.slippage_bps) // 10_000
        )
    except OrderRejectedError as rejection:
        return Rejection(rejection.code, str(rejection))


def _sign(intent: Transfer | Buy, expires_ms: int, min_tokens: int = 0) -> Order:
    payload = dumps(
        {
            "kind": "transfer" if isinstance(intent, Transfer) else "buy",
            "intent": intent.intent_id,
            "user": intent.user_id,
            "source": _source(intent),
            "target": intent.destination if isinstance(intent, Transfer) else intent.token_address,
            "lamports": intent.lamports,
            "min_tokens": min_tokens,
            "priority_fee": 0 if isinstance(intent, Transfer) else intent.priority_fee_lamports,
            "expires": expires_ms,
            "prepared_ns": time.time_ns(),
        }
    )
    signature = base58.b58encode(hashlib.sha512(payload).digest()).decode()
    return Order(intent.intent_id, signature, payload, min_tokens, expires_ms)
