"""The market port: what an operation asks of a market, as value types and one protocol.

An order goes ``prepare → submit → outcome``. On a real chain a transaction is signed, and so its signature
known, before it is sent: :meth:`Market.prepare` moves nothing and returns the exact bytes;
:meth:`Market.submit` sends them, and sending the same bytes again does nothing more;
:meth:`Market.outcome` tells what became of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Account:
    """A user's wallets as the market knows them. Balances in lamports."""

    funding_wallet: str
    funding_lamports: int
    wallets: dict[str, int]  # operation wallets by address, in the order they were opened


@dataclass(frozen=True, slots=True)
class Strategy:
    """How to buy on one platform. Picked in phase 3."""

    platform: str
    slippage_bps: int  # how far the price may move between quote and execution
    max_order_lamports: int  # a wallet's share above this is bought in several orders
    priority_fee_lamports: int  # per transaction, on top of the network's fee


@dataclass(frozen=True, slots=True)
class Transfer:
    """Move lamports from one wallet of a user to another."""

    intent_id: str  # deterministic: the same step of the same job has the same id, whoever runs it
    user_id: str
    source: str
    destination: str
    lamports: int


@dataclass(frozen=True, slots=True)
class Buy:
    """Buy a token with one wallet. ``lamports`` is what is spent, the platform's fee included."""

    intent_id: str
    user_id: str
    wallet: str
    token_address: str
    lamports: int
    slippage_bps: int
    priority_fee_lamports: int


@dataclass(frozen=True, slots=True)
class Order:
    """A signed transaction, ready to be sent. ``payload`` is the exact bytes, ``signature`` names them."""

    intent_id: str
    signature: str  # base58, 64 bytes decoded
    payload: bytes


class OutcomeStatus(StrEnum):
    """What became of a submitted order."""

    CONFIRMED = "confirmed"  # executed
    FAILED = "failed"  # on the chain, fees paid, but nothing else moved
    UNKNOWN = "unknown"  # the market does not say (yet); never to be retried blindly


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the market says of an order. For ``UNKNOWN`` every number is zero and means nothing."""

    status: OutcomeStatus
    signature: str
    spent_lamports: int = 0  # what left the user's wallets for good: fees, and for a buy the SOL paid
    tokens: int = 0  # base units received
    error_code: str = ""  # of a failed order, e.g. "slippage_exceeded"
    error: str = ""


class Market(Protocol):
    """Where operations trade. Every method may raise :class:`~cto_worker.errors.MarketError`."""

    patience_s: float  # how long an answer is worth waiting for

    def account(self, user_id: str, wallet_count: int) -> Account:
        """Return the user's account, with at least ``wallet_count`` operation wallets in it.

        Raises :class:`~cto_worker.errors.OrderRejectedError` ``user_not_found`` when there is no such user.
        """

    def detect(self, token_address: str) -> Strategy:
        """Find out where a token trades and how to buy it there.

        Raises :class:`~cto_worker.errors.OrderRejectedError` ``token_not_tradable`` when it trades nowhere.
        """

    def strategy(self, platform: str) -> Strategy:
        """Return the strategy for a platform the caller named.

        Raises :class:`~cto_worker.errors.OrderRejectedError` ``platform_unsupported``.
        """

    def transfer_fee(self) -> int:
        """What one transfer costs, in lamports."""

    def buy_fee(self, strategy: Strategy) -> int:
        """What one buy costs on top of the SOL it spends, in lamports."""

    def prepare(self, intent: Transfer | Buy) -> Order:
        """Quote, build and sign. Nothing moves.

        Raises :class:`~cto_worker.errors.OrderRejectedError` when the order cannot be executed as things are.
        """

    def submit(self, order: Order) -> None:
        """Send an order. Idempotent: the same order sent again executes nothing more."""

    def outcome(self, order: Order, *, wait_s: float) -> Outcome:
        """Wait until the market knows what became of a submitted order, at most so long.

        ``UNKNOWN`` when it does not know by then, or when the order never reached it.
        """
