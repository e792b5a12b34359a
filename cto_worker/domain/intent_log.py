"""The intent log: the plan of an operation, and for each step its order and its outcome.

``planned → intended → submitted → confirmed | failed | unknown``. A step is *planned* while the log contains
no record of it. An *intended* step is on disk before its order is submitted, with the exact bytes of the
order. A run that takes over the job can therefore query the order's outcome, and submit the same bytes again,
which cannot execute twice. Several steps can be in flight at the same time.

An order that the market reports as expired can be replaced. The step then has a new order, whose record keeps
the signatures of the replaced ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cto_worker.domain.buy_plan import Plan
    from cto_worker.domain.market_port import Order, Outcome


class IntentStatus(StrEnum):
    """The state of a step in the intent log."""

    INTENDED = "intended"  # recorded; only the market knows whether it was submitted
    SUBMITTED = "submitted"  # certainly submitted
    CONFIRMED = "confirmed"  # executed
    FAILED = "failed"  # not executed
    UNKNOWN = "unknown"  # the market reported no outcome in time; an operator resolves it


@dataclass(frozen=True, slots=True)
class Resolver:
    """The author of a resolution."""

    name: str = ""  # "" for a resolution that an earlier release recorded
    at_ms: int = 0  # time of the resolution, ms since the Unix epoch; 0: as above


@dataclass(frozen=True, slots=True)
class IntentRecord:
    """The latest record of one step.

    ``order`` is ``None`` if the market rejected the intent, and so prepared no order.
    """

    status: IntentStatus
    order: Order | None = None
    outcome: Outcome | None = None  # present in the last three statuses
    place: int = 0  # position in the order in which the job's steps ended, from 1; 0: not ended, or unknown
    resolver: Resolver | None = None  # the operator who supplied the outcome, instead of the market

    @property
    def resolved(self) -> bool:
        """Whether an operator, not the market, supplied the outcome."""
        return self.resolver is not None

    @property
    def unsettled(self) -> bool:
        """Whether the market must be queried for the outcome."""
        return self.outcome is None


@dataclass(frozen=True, slots=True)
class IntentLog:
    """The plan of one job, and the records of its steps by intent id."""

    plan: Plan
    records: Mapping[str, IntentRecord]


def settled(order: Order | None, outcome: Outcome, place: int = 0) -> IntentRecord:
    """Return the record of a step that has ended: confirmed, failed or unknown."""
    return IntentRecord(IntentStatus(outcome.status.value), order, outcome, place)


def resolved(record: IntentRecord, outcome: Outcome, resolver: Resolver) -> IntentRecord:
    """Return the record of an unknown step with the outcome that an operator supplied."""
    return replace(settled(record.order, outcome, record.place), resolver=resolver)


def may_follow(old: Order | None, order: Order) -> bool:
    """Return whether an order may be recorded after another one of the same intent.

    It must be the same order, or replace that one. ``store/lua/intend.lua`` checks the same.
    """
    return old is None or order.signature == old.signature or order.replaced[-1:] == (old.signature,)
