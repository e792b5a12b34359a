"""An in-memory market for unit tests, with faults that a test can choose.

As on a chain, each order executes at most once, and two orders of one intent are two orders. ``executions``
is the ledger: it shows each of them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

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
    from collections.abc import Callable, Mapping, Sequence

FUNDING = "funding"
BALANCE_LAMPORTS = 100 * 10**9
FEE_LAMPORTS = 5_000
TOKENS_PER_LAMPORT = 10  # the initial price; a test can change it
LIFE_BLOCKS = 150  # for which an order can execute after its preparation


class Execution(NamedTuple):
    """An entry of the ledger."""

    intent_id: str
    signature: str


@dataclass(slots=True)
class InMemoryMarket:
    """Implements :class:`cto_worker.domain.market_port.Market` for one user with wallets ``wallet-1`` and up.

    ``refused``, ``failing``, ``lost``, ``silent`` and the keys of ``expiring`` are parts of intent ids. The
    fault applies to orders whose intent id contains one of the parts. An order expires if ``height`` exceeds
    its ``expires`` before it executes.
    """

    refused: tuple[str, ...] = ()  # ``prepare`` rejects the order
    failing: tuple[str, ...] = ()  # the order fails on the chain
    lost: tuple[str, ...] = ()  # the order is executed, and ``submit`` raises
    silent: tuple[str, ...] = ()  # the order is executed, and its outcome stays unknown
    expiring: Mapping[str, int] = field(default_factory=dict)  # the first n orders of the intent expire
    dropped: bool = False  # no order arrives
    broken: tuple[str, ...] = ()  # names of methods that raise MarketError
    one_by_one: bool = False  # each query returns one outcome at most
    user_exists: bool = True
    patience_s: float = 0.0
    rent_lamports: int = 0  # that a wallet's first buy of a token costs in addition
    tokens_per_lamport: int = TOKENS_PER_LAMPORT
    height: int = 1_000  # of the newest block
    balances: dict[str, int] = field(default_factory=lambda: {FUNDING: BALANCE_LAMPORTS})
    holdings: Counter[tuple[str, str]] = field(default_factory=Counter)  # base units by wallet and token
    prepared: dict[bytes, Transfer | Buy] = field(default_factory=dict)  # by payload
    executed: dict[str, Outcome] = field(default_factory=dict)  # by signature
    executions: list[Execution] = field(default_factory=list)
    submitted: list[str] = field(default_factory=list)  # an intent id for each submission
    before_execution: Callable[[str], object] = lambda _: None  # called with each submitted intent id

    def check(self) -> str:
        """See :meth:`cto_worker.domain.market_port.Market.check`."""
        self._break("check")
        return "in memory, for tests"

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

    def account_costs(
        self,
        strategy: Strategy,  # noqa: ARG002 - the same on each platform
        token_address: str,
        wallets: Sequence[str],
    ) -> Mapping[str, int]:
        """See :meth:`cto_worker.domain.market_port.Market.account_costs`."""
        self._break("account_costs")
        return {wallet: self._rent(wallet, token_address) for wallet in wallets}

    def prepare(self, intents: Sequence[Transfer | Buy]) -> list[Order | Rejection]:
        """See :meth:`cto_worker.domain.market_port.Market.prepare`."""
        self._break("prepare")
        balances = dict(self.balances)
        return [self._prepare(intent, balances) for intent in intents]

    def submit(self, orders: Sequence[Order]) -> None:
        """See :meth:`cto_worker.domain.market_port.Market.submit`."""
        self._break("submit")
        for order in orders:
            self.before_execution(order.intent_id)
            self.submitted.append(order.intent_id)
            if order.signature not in self.executed and not self.dropped and self.height <= order.expires:
                self.executed[order.signature] = self._execute(order)
                self.executions.append(Execution(order.intent_id, order.signature))
        if any(_any(self.lost, order.intent_id) for order in orders):
            raise MarketError("the test has lost this reply")

    def outcomes(self, orders: Sequence[Order], *, wait_s: float) -> dict[str, Outcome]:  # noqa: ARG002 - never waits
        """See :meth:`cto_worker.domain.market_port.Market.outcomes`."""
        self._break("outcomes")
        visible = [order for order in orders if not _any(self.silent, order.intent_id)]
        known = {order.intent_id: outcome for order in visible if (outcome := self._outcome(order))}
        return dict(list(known.items())[:1]) if self.one_by_one else known

    def pass_expiry(self) -> None:
        """Produce blocks until every prepared order that has not executed has expired."""
        self.height += LIFE_BLOCKS + 1

    def _outcome(self, order: Order) -> Outcome | None:
        if order.signature in self.executed:
            return self.executed[order.signature]
        if self.height > order.expires:
            return Outcome(OutcomeStatus.EXPIRED, order.signature)
        return None

    def _prepare(self, intent: Transfer | Buy, balances: dict[str, int]) -> Order | Rejection:
        if _any(self.refused, intent.intent_id):
            return Rejection("insufficient_funds", "the test has refused this order")
        limit = self._limit(intent)
        if isinstance(intent, Buy) and self.tokens_per_lamport * intent.lamports < limit:
            return Rejection("slippage_exceeded", "the price is above the limit of the order")
        if balances.get(_payer(intent), 0) < self._cost(intent):
            return Rejection("insufficient_funds", f"{_payer(intent)} holds too little SOL")
        balances[_payer(intent)] -= self._cost(intent)
        number = sum(earlier.intent_id == intent.intent_id for earlier in self.prepared.values()) + 1
        expires = self.height + LIFE_BLOCKS
        if any(part in intent.intent_id and number <= count for part, count in self.expiring.items()):
            expires = self.height - 1
        payload = f"{intent.intent_id}#{number}".encode()
        self.prepared[payload] = replace(intent, min_tokens=limit) if isinstance(intent, Buy) else intent
        return Order(
            intent.intent_id,
            f"signature {number} of {intent.intent_id}",
            payload,
            min_tokens=limit,
            expires=expires,
            context=f"prepared at {self.height}",
        )

    def _limit(self, intent: Transfer | Buy) -> int:
        if isinstance(intent, Transfer):
            return 0
        quote = self.tokens_per_lamport * intent.lamports
        return intent.min_tokens or quote * (10_000 - intent.slippage_bps) // 10_000

    def _rent(self, wallet: str, token_address: str) -> int:
        return 0 if (wallet, token_address) in self.holdings else self.rent_lamports

    def _cost(self, intent: Transfer | Buy) -> int:
        """Return the lamports that an intent takes from its wallet."""
        if isinstance(intent, Transfer):
            return intent.lamports + FEE_LAMPORTS
        rent = self._rent(intent.wallet, intent.token_address)
        return intent.lamports + FEE_LAMPORTS + intent.priority_fee_lamports + rent

    def _execute(self, order: Order) -> Outcome:
        intent = self.prepared[order.payload]
        cost = self._cost(intent)
        if _any(self.failing, order.intent_id):
            return self._fail(order, "slippage_exceeded", "the test has failed this order")
        if isinstance(intent, Buy) and self.tokens_per_lamport * intent.lamports < intent.min_tokens:
            return self._fail(order, "slippage_exceeded", "the price has moved beyond the limit")
        if self.balances[_payer(intent)] < cost:
            return self._fail(order, "insufficient_funds", "the wallet's balance is now too low")
        self.balances[_payer(intent)] -= cost
        if isinstance(intent, Transfer):
            self.balances[intent.destination] += intent.lamports
            return Outcome(OutcomeStatus.CONFIRMED, order.signature, FEE_LAMPORTS)
        tokens = self.tokens_per_lamport * intent.lamports
        self.holdings[intent.wallet, intent.token_address] += tokens
        return Outcome(OutcomeStatus.CONFIRMED, order.signature, cost, tokens)

    def _fail(self, order: Order, code: str, error: str) -> Outcome:
        self.balances[_payer(self.prepared[order.payload])] -= FEE_LAMPORTS
        return Outcome(OutcomeStatus.FAILED, order.signature, FEE_LAMPORTS, 0, code, error)

    def _break(self, method: str) -> None:
        if method in self.broken:
            raise MarketError(f"the test has broken {method}")


def _payer(intent: Transfer | Buy) -> str:
    return intent.source if isinstance(intent, Transfer) else intent.wallet


def _any(parts: tuple[str, ...], text: str) -> bool:
    return any(part in text for part in parts)
