"""The market port: the protocol between an operation and a market, and its value types.

An order goes ``prepare → submit → outcomes``. On a blockchain the signature of a transaction is known before
the transaction is sent. :meth:`Market.prepare` moves no money and returns the exact signed bytes.
:meth:`Market.submit` sends them; to send the same bytes again has no further effect. :meth:`Market.outcomes`
returns the outcomes that are known. Each call takes several orders, as a chain's RPC does. They are of one
operation, so they have the same user and the same token.

A market may execute two different orders of one intent. So an order is replaced only after the market has
reported it as ``EXPIRED``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cto_worker.config import Settings


@dataclass(frozen=True, slots=True)
class Account:
    """A user's wallets and their balances in lamports."""

    funding_wallet: str
    funding_lamports: int
    wallets: dict[str, int]  # operation wallets by address, in the order they were opened


@dataclass(frozen=True, slots=True)
class Strategy:
    """The rules for buys on one platform. Chosen in phase 3."""

    platform: str
    slippage_bps: int  # allowed price movement between quote and execution
    max_order_lamports: int  # a larger share of a wallet is split into several orders
    priority_fee_lamports: int  # per transaction, in addition to the network's fee
    max_orders_in_flight: int  # per operation, whatever CTO_OPERATION_PARALLELISM allows


@dataclass(frozen=True, slots=True)
class Transfer:
    """The intent to move lamports from one wallet of a user to another."""

    intent_id: str  # the same for a step of a job in every run
    user_id: str
    source: str
    destination: str
    lamports: int


@dataclass(frozen=True, slots=True)
class Buy:
    """The intent to buy a token with one wallet. ``lamports`` includes the platform's fee.

    ``min_tokens`` is set for an order that replaces an expired one, to the limit of the first order.
    """

    intent_id: str
    user_id: str
    wallet: str
    token_address: str
    lamports: int
    slippage_bps: int
    priority_fee_lamports: int
    min_tokens: int = 0  # base units that the order must ask for; 0: the quote minus ``slippage_bps``


@dataclass(frozen=True, slots=True)
class Order:
    """A signed transaction. ``payload`` contains the exact bytes, ``signature`` identifies them.

    An order is recorded with all its fields before it is submitted. A market gets it back unchanged, perhaps
    in another process.
    """

    intent_id: str
    signature: str  # base58, 64 bytes decoded
    payload: bytes
    min_tokens: int = 0  # base units; a buy that would receive less fails
    expires: int = 0  # end of its life in the market's own time, such as a block height; 0: it never expires
    context: str = ""  # what the market needs to judge the order later, such as a slot and a genesis hash
    replaced: tuple[str, ...] = ()  # signatures of the expired orders before it; the operation sets it


@dataclass(frozen=True, slots=True)
class Rejection:
    """The reason for which the market prepared no order, e.g. ``insufficient_funds``. No money moved."""

    code: str
    error: str


class OutcomeStatus(StrEnum):
    """The outcome of a submitted order."""

    CONFIRMED = "confirmed"  # executed
    FAILED = "failed"  # recorded on the chain: fees were paid, nothing else moved
    EXPIRED = "expired"  # not executed, and certainly never executed later: the order may be replaced
    UNKNOWN = "unknown"  # not reported by the market; never retry without reconciling


@dataclass(frozen=True, slots=True)
class Outcome:
    """The market's report on an order. With ``UNKNOWN`` all amounts are 0 and must be ignored.

    The amounts are those that the market has booked, for example a transaction's balances before and after.
    They never come from the quote.
    """

    status: OutcomeStatus
    signature: str
    spent_lamports: int = 0  # fees, and the SOL paid for a buy
    tokens: int = 0  # base units received
    error_code: str = ""  # of a failed order, e.g. "slippage_exceeded"
    error: str = ""


@dataclass(frozen=True, slots=True)
class OrderState:
    """A market's present knowledge of an order, which gateways read for operators.

    An order that is neither ``executed`` nor ``final`` may still be executed.
    """

    executed: bool
    final: bool  # whether the market excludes that the state changes
    spent_lamports: int = 0  # fees, and the SOL paid for a buy; a failed transaction also costs fees
    tokens: int = 0  # base units received
    at_ms: int | None = None  # the market's time at which the order executed or failed
    error: str = ""  # the reason of a failed order


class Money(StrEnum):
    """The kind of money that moves in a market."""

    SIMULATED = "simulated"  # numbers in a store, without a chain
    LOCAL_CHAIN = "local_chain"  # play money on a chain for development
    REAL = "real"  # or possibly real: of any market that does not say otherwise


@dataclass(frozen=True, slots=True)
class MarketDescription:
    """Description of a market, for operators and the console."""

    text: str  # for operators, e.g. "solana: mainnet"
    money: Money = Money.REAL


class Market(Protocol):
    """A place where orders execute. Every method may raise :class:`~cto_worker.errors.MarketError`.

    A market may have an attribute ``description``, a :class:`MarketDescription`. Without it, its money counts
    as real.
    """

    patience_s: float  # how long a run retries a query or waits for an outcome; more than an order's life

    def check(self) -> str:
        """Return which market this is, in a line for ``cto doctor``. Queries the services that it needs."""

    def account(self, user_id: str, wallet_count: int) -> Account:
        """Return the user's account, with at least ``wallet_count`` operation wallets in it.

        Raises :class:`~cto_worker.errors.OrderRejectedError` ``user_not_found`` if the user does not exist.
        """

    def detect(self, token_address: str) -> Strategy:
        """Return the strategy for the platform where a token trades.

        Raises :class:`~cto_worker.errors.OrderRejectedError` ``token_not_tradable`` if there is no platform.
        """

    def strategy(self, platform: str) -> Strategy:
        """Return the strategy for a platform that the request names.

        Raises :class:`~cto_worker.errors.OrderRejectedError` ``platform_unsupported``.
        """

    def transfer_fee(self) -> int:
        """Return the fee of one transfer, in lamports."""

    def buy_fee(self, strategy: Strategy) -> int:
        """Return the fee of each buy in addition to the SOL that it spends, in lamports."""

    def account_costs(
        self, strategy: Strategy, token_address: str, wallets: Sequence[str]
    ) -> Mapping[str, int]:
        """Return what the first buy of a token costs in addition, in lamports by wallet.

        For example the rent of a token account, if the wallet has none yet. A wallet without such costs may
        be missing.
        """

    def prepare(self, intents: Sequence[Transfer | Buy]) -> list[Order | Rejection]:
        """Quote, build and sign an order for each intent, in this order. No money moves.

        The quote of a buy expects that the orders before it have executed, so that its slippage limit covers
        only the orders of others. A buy with ``min_tokens`` gets exactly this limit; if the quote is lower,
        it is rejected as ``slippage_exceeded``. The orders of one intent have different signatures.
        """

    def submit(self, orders: Sequence[Order]) -> None:
        """Send orders, in this order. Idempotent: a repeated order executes once, an expired one never.

        After a :class:`~cto_worker.errors.MarketError` each of them may have been sent or not.
        """

    def outcomes(self, orders: Sequence[Order], *, wait_s: float) -> Mapping[str, Outcome]:
        """Return the known outcomes of submitted orders, by intent id, in the order of completion.

        Waits at most ``wait_s`` seconds for the first, and may send the same bytes again meanwhile. An order
        is missing if the market is not certain: it has no outcome yet, it never reached the market, or a
        service does not answer or lags behind. The last outcome of an order never changes.
        """


class MarketFactory(Protocol):
    """The function or class that ``CTO_MARKET`` names (:mod:`cto_worker.market_registry`).

    Its attribute ``platforms``, a tuple, contains the platforms that a request may name. Without it, a
    request may name any.
    """

    def __call__(self, settings: Settings, connect: Callable[[str], Any]) -> Market:
        """Return the market of a worker.

        ``connect`` returns a client of the store at a URL; ``""`` is the store of the jobs.
        """


def limited_by(expired: Order, intent: Transfer | Buy) -> Transfer | Buy:
    """Return ``intent`` with the ``min_tokens`` of the expired order, for the order that replaces it."""
    return replace(intent, min_tokens=expired.min_tokens) if isinstance(intent, Buy) else intent


def replacing(expired: Order, order: Order) -> Order:
    """Return an order with the signatures of the expired orders that it replaces."""
    return replace(order, replaced=(*expired.replaced, expired.signature))
