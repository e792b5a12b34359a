"""An in-memory market for unit tests, with faults that a test can choose."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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
from cto_worker.errors import MarketError, OrderRejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FUNDING = "funding"
BALANCE_LAMPORTS = 100 * 10**9
FEE_LAMPORTS = 5_000
TOKENS_PER_LAMPORT = 10  # the price is constant


@dataclass(slots=True)
class InMemoryMarket:
    """Implements :class:`cto_worker.domain.market_port.Market` for one user with wallets ``wallet-1`` and up.

    ``refused``, ``failing``, ``lost`` and ``silent`` contain parts of intent ids. The fault applies to orders
    whose intent id contains one of the parts.
    """

    refused: tuple[str, ...] = ()  # ``prepare`` rejects the order
    failing: tuple[str, ...] = ()  # the order fails on the chain
    lost: tuple[str, ...] = ()  # the order is executed, and ``submit`` raises
    silent: tuple[str, ...] = ()  # the order is executed, and its outcome stays unknown
    broken: tuple[str, ...] = ()  # names of methods that raise MarketError
    one_by_one: bool = False  # each query returns one outcome at most
    user_exists: bool = True
    patience_s: float = 0.0
    balances: dict[str, int] = field(default_factory=lambda: {FUNDING: BALANCE_LAMPORTS})
    prepared: dict[str, Transfer | Buy] = field(default_factory=dict)
    executed: dict[str, Outcome] = field(default_factory=dict)  # by intent id
    submitted: list[str] = field(default_factory=list)  # an intent id for each submission
    before_execution: Callable[[str], object] = lambda _: None  # called with each submitted intent id

    def account(self, user_id: str, wallet_count: int) -> Account:
        """See :meth:`cto_worker.domain.market_port.Market.account`."""
        self._break("account")
        if not self.user_exists:
            raise OrderRejectedError("user_not_found", f"the user {user_id} does not exist")
        for number in range(1, wallet_count + 1):
            self.balances.setdefault(f"wallet-{number}", BALANCE_LAMPORTS)
        wallets = {name: lamports for name, lamports in self.balances.items() if name != FUNDING}
        return Account(FUNDING, self.balances[FUNDING], wallets)

    def detect(self, token_address: str) -> Strategy:
        """See :meth:`cto_worker.domain.market_port.Market.detect`."""
        self._break("detect")
        if token_address.endswith("none"):
            raise OrderRejectedError("token_not_tradable", f"the token {token_address} cannot be traded")
        return self.strategy("pumpfun")

    def strategy(self, platform: str) -> Strategy:
        """See :meth:`cto_worker.domain.market_port.Market.strategy`."""
        self._break("strategy")
        if platform != "pumpfun":
            raise OrderRejectedError("platform_unsupported", f"the platform {platform} is not supported")
        return Strategy(
            "pumpfun",
            slippage_bps=500,
            max_order_lamports=10**9,
            priority_fee_lamports=1_000,
            max_orders_in_flight=100,
        )

    def transfer_fee(self) -> int:
        """See :meth:`cto_worker.domain.market_port.Market.transfer_fee`."""
        return FEE_LAMPORTS

    def buy_fee(self, strategy: Strategy) -> int:
        """See :meth:`cto_worker.domain.market_port.Market.buy_fee`."""
        return FEE_LAMPORTS + strategy.priority_fee_lamports

    def prepare(self, intents: Sequence[Transfer | Buy]) -> list[Order | Rejection]:
        """See :meth:`cto_worker.domain.market_port.Market.prepare`."""
        self._break("prepare")
        return [self._prepare(intent) for intent in intents]

    def submit(self, orders: Sequence[Order]) -> None:
        """See :meth:`cto_worker.domain.market_port.Market.submit`."""
        self._break("submit")
        for order in orders:
            self.before_execution(order.intent_id)
            self.submitted.append(order.intent_id)
            if order.intent_id not in self.executed:
                self.executed[order.intent_id] = self._execute(order)
        if any(_any(self.lost, order.intent_id) for order in orders):
            raise MarketError("the test has lost this reply")

    def outcomes(self, orders: Sequence[Order], *, wait_s: float) -> dict[str, Outcome]:  # noqa: ARG002 - never waits
        """See :meth:`cto_worker.domain.market_port.Market.outcomes`."""
        self._break("outcomes")
        known = {
            order.intent_id: self.executed[order.intent_id]
            for order in orders
            if order.intent_id in self.executed and not _any(self.silent, order.intent_id)
        }
        return dict(list(known.items())[:1]) if self.one_by_one else known

    def _prepare(self, intent: Transfer | Buy) -> Order | Rejection:
        if _any(self.refused, intent.intent_id):
            return Rejection("insufficient_funds", "the test has refused this order")
        self.prepared[intent.intent_id] = intent
        return Order(intent.intent_id, f"signature of {intent.intent_id}", intent.intent_id.encode())

    def _execute(self, order: Order) -> Outcome:
        intent = self.prepared[order.intent_id]
        if _any(self.failing, order.intent_id):
            self.balances[intent.source if isinstance(intent, Transfer) else intent.wallet] -= FEE_LAMPORTS
            return Outcome(
                OutcomeStatus.FAILED,
                order.signature,
                FEE_LAMPORTS,
                0,
                "slippage_exceeded",
                "the test has failed this order",
            )
        if isinstance(intent, Transfer):
            self.balances[intent.source] -= intent.lamports + FEE_LAMPORTS
            self.balances[intent.destination] += intent.lamports
            return Outcome(OutcomeStatus.CONFIRMED, order.signature, FEE_LAMPORTS)
        spent = intent.lamports + FEE_LAMPORTS + intent.priority_fee_lamports
        self.balances[intent.wallet] -= spent
        return Outcome(OutcomeStatus.CONFIRMED, order.signature, spent, intent.lamports * TOKENS_PER_LAMPORT)

    def _break(self, method: str) -> None:
        if method in self.broken:
            raise MarketError(f"the test has broken {method}")


def _any(parts: tuple[str, ...], text: str) -> bool:
    return any(part in text for part in parts)
