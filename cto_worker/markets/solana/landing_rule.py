"""The rule that decides the fate of a sent transaction from the answers of RPC nodes.

Two transactions of one intent can both execute, so an order is replaced only if it cannot execute any more.
A node's answer is relative to the block that this node has seen: a missing status and a height from two
different views prove nothing. An order has expired if a node that knows every *finalized* block up to the
last one that could contain the order, and searched its history, has no status for it. The answers of several
independent providers must agree. Everything else is pending: the caller queries again, and never replaces a
pending order.

Heights decide, not times: a blockhash is valid for 150 blocks, whatever a block takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class Fate(StrEnum):
    """The fate of a sent transaction, as far as it is known."""

    PENDING = "pending"  # it may have executed, or may still execute
    LANDED = "landed"  # executed, in a block that a supermajority confirmed
    FAILED = "failed"  # in such a block with an error: the fee is paid, nothing else moved
    EXPIRED = "expired"  # never executed, and never will


class Level(StrEnum):
    """The commitment level of a status, as ``confirmationStatus`` names it."""

    PROCESSED = "processed"  # the block may still vanish
    CONFIRMED = "confirmed"
    FINALIZED = "finalized"


@dataclass(frozen=True, slots=True)
class SentOrder:
    """The facts about a transaction that are on disk before it is sent."""

    signature: str
    last_valid_block_height: int  # its blockhash is valid up to this height
    slot: int  # the slot in which its blockhash was read; older history cannot contain it
    genesis_hash: str  # of the chain that it was signed for


@dataclass(frozen=True, slots=True)
class Status:
    """A transaction's status as a node reports it."""

    level: Level
    error: bool


@dataclass(frozen=True, slots=True)
class NodeAnswer:
    """The answers of one provider about one order.

    The calls were made in this order: getGenesisHash and getFirstAvailableBlock at any time, getEpochInfo
    with commitment ``finalized``, and then getSignatureStatuses.
    """

    genesis_hash: str
    first_available_slot: int  # the start of the node's history
    finalized_height: int  # blockHeight of getEpochInfo
    finalized_slot: int  # absoluteSlot of getEpochInfo
    context_slot: int  # of getSignatureStatuses
    history_searched: bool  # searchTransactionHistory
    status: Status | None


def fate(order: SentOrder, answers: Sequence[NodeAnswer], *, providers: int) -> Fate:
    """Return the fate of an order.

    ``answers`` has at most one answer of each provider; a provider that did not answer is missing.
    ``providers`` is the number of providers that must agree before an order counts as expired, at least 1.
    """
    answers = [answer for answer in answers if answer.genesis_hash == order.genesis_hash]
    statuses = [answer.status for answer in answers if answer.status]
    for status in statuses:
        if status.level is not Level.PROCESSED:
            return Fate.FAILED if status.error else Fate.LANDED
    enough = len(answers) >= max(providers, 1)
    if not statuses and enough and all(_proves_expiry(order, answer) for answer in answers):
        return Fate.EXPIRED
    return Fate.PENDING


def _proves_expiry(order: SentOrder, answer: NodeAnswer) -> bool:
    """Return whether a node without a status for the order knows every block that could contain it."""
    return (
        answer.finalized_height > order.last_valid_block_height
        and answer.history_searched
        and answer.context_slot >= answer.finalized_slot
        and answer.first_available_slot <= order.slot
    )
