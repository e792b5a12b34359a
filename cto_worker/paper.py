"""The paper market: wallets, a bonding curve per token and a ledger, kept in the store. No real money.

It behaves as a market does: buys move the price, slippage limits make buys fail once it has moved, failed
transactions still cost fees, and an order is executed at most once however often it is sent. Every user
exists; each wallet is opened with ``CTO_PAPER_BALANCE_SOL``. ``CTO_PAPER_LATENCY_MS`` is the time from
submission until an outcome is known; ``CTO_PAPER_FAILURE_RATE`` the part of transactions that fail, picked by
the intent's id, so that the same intent always meets the same fate.
"""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import base58
from redis.exceptions import RedisError

from cto_worker import curve, keys
from cto_worker.errors import MarketError, OrderRejectedError
from cto_worker.events import dumps
from cto_worker.market import Account, Buy, Order, Outcome, OutcomeStatus, Strategy, Transfer
from cto_worker.money import LAMPORTS_PER_SOL, to_lamports, to_sol
from cto_worker.store import script

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
_SUFFIXES = {"pump": "pumpfun", "bonk": "bonk"}


class PaperMarket:
    """Implements :class:`cto_worker.market.Market`; each step is one round trip to the store."""

    def __init__(self, store: Redis, settings: Settings) -> None:
        self._store = store
        self._balance_lamports = to_lamports(settings.paper_balance_sol)
        self._latency_ms = settings.paper_latency_ms
        self._failure_rate = settings.paper_failure_rate
        self._open = script(store, "paper_open")
        self._submit = script(store, "paper_submit")

    def account(self, user_id: str, wallet_count: int) -> Account:
        """See :meth:`cto_worker.market.Market.account`. Opens what wallets are not open yet."""
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
        """See :meth:`cto_worker.market.Market.detect`. Launchpads mark their mints by the ending."""
        _, sold = self._curve(token_address)
        if sold >= curve.TOKENS_FOR_SALE:
            raise OrderRejectedError("token_not_tradable", f"{token_address} is sold out on its curve")
        return STRATEGIES[_SUFFIXES.get(token_address[-4:], "raydium")]

    def strategy(self, platform: str) -> Strategy:
        """See :meth:`cto_worker.market.Market.strategy`."""
        if platform not in STRATEGIES:
            known = ", ".join(STRATEGIES)
            raise OrderRejectedError("platform_unsupported", f"{platform} is none of: {known}")
        return STRATEGIES[platform]

    def transfer_fee(self) -> int:
        """See :meth:`cto_worker.market.Market.transfer_fee`."""
        return NETWORK_FEE_LAMPORTS

    def buy_fee(self, strategy: Strategy) -> int:
        """See :meth:`cto_worker.market.Market.buy_fee`."""
        return NETWORK_FEE_LAMPORTS + strategy.priority_fee_lamports

    def prepare(self, intent: Transfer | Buy) -> Order:
        """See :meth:`cto_worker.market.Market.prepare`. The quote's least tokens are part of the bytes."""
        if isinstance(intent, Transfer):
            self._check_balance(intent.user_id, intent.source, intent.lamports + NETWORK_FEE_LAMPORTS)
            return _sign("transfer", intent, intent.source, intent.destination)
        fees = NETWORK_FEE_LAMPORTS + intent.priority_fee_lamports
        gained, sold = self._curve(intent.token_address, intent, fees)
        quote = curve.tokens_for(intent.lamports, gained, sold)
        if quote > curve.TOKENS_FOR_SALE - sold:
            raise OrderRejectedError("insufficient_liquidity", "the curve has fewer tokens left than that")
        min_tokens = quote * (10_000 - intent.slippage_bps) // 10_000
        return _sign("buy", intent, intent.wallet, intent.token_address, min_tokens)

    def submit(self, order: Order) -> None:
        """See :meth:`cto_worker.market.Market.submit`. Of several orders for one intent the first counts."""
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
                    curve.VIRTUAL_LAMPORTS,
                    curve.VIRTUAL_TOKENS,
                    curve.TOKENS_FOR_SALE,
                    curve.FEE_BPS,
                ],
            )

    def outcome(self, order: Order) -> Outcome:
        """See :meth:`cto_worker.market.Market.outcome`.

        ``UNKNOWN`` when nothing was ever submitted for the order's intent, or another order than this one.
        """
        with _store_errors(), self._store.pipeline(transaction=False) as pipeline:
            pipeline.hgetall(keys.paper_intent(order.intent_id))
            pipeline.time()
            found, (seconds, micros) = pipeline.execute()
        record = {name.decode(): value.decode() for name, value in found.items()}
        if record.get("signature") != order.signature:
            return Outcome(OutcomeStatus.UNKNOWN, order.signature)
        wait_ms = int(record["at_ms"]) + self._latency_ms - (seconds * 1000 + micros // 1000)
        if wait_ms > 0:
            time.sleep(wait_ms / 1000)
        return Outcome(
            status=OutcomeStatus(record["status"]),
            signature=order.signature,
            spent_lamports=int(record["spent"]),
            tokens=int(record["tokens"]),
            error_code=record["error_code"],
            error=record["error"],
        )

    def _curve(self, mint: str, buy: Buy | None = None, fees: int = 0) -> tuple[int, int]:
        """What a curve has gained and sold; and, in the same round trip, whether a buyer can pay."""
        with _store_errors(), self._store.pipeline(transaction=False) as pipeline:
            pipeline.hmget(keys.paper_curve(mint), "sol", "sold")
            if buy:
                pipeline.hget(keys.paper_wallets(buy.user_id), buy.wallet)
            (gained, sold), *balance = pipeline.execute()
        if buy:
            _check(balance[0], buy.wallet, buy.lamports + fees)
        return int(gained or 0), int(sold or 0)

    def _check_balance(self, user_id: str, wallet: str, lamports: int) -> None:
        with _store_errors():
            balance: Any = self._store.hget(keys.paper_wallets(user_id), wallet)
        _check(balance, wallet, lamports)


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
