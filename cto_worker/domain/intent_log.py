"""The intent log: the plan of an operation, and for each step its order and its outcome.

``planned → intended → submitted → confirmed | failed | unknown``. A step is *planned* while the log contains
no record of it. An *intended* step is on disk before its order is submitted, with the exact bytes of the
order. A run that takes over the job can therefore query the order's outcome, and submit the same bytes again,
which cannot execute twice. Several steps can be in flight at the same time.

An order that the market reports as expired can be replaced. The step then has a new order, whose record keeps
the signatures of the replaced ones.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins

from cto_worker.domain.buy_plan import Plan, Step
from cto_worker.domain.market_port import Buy, Order, Outcome, OutcomeStatus, Transfer
from cto_worker.domain.progress_event import dumps

if TYPE_CHECKING:
    from collections.abc import Mapping

PLAN = "plan"  # the field of the log that contains the plan; no intent has this id


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
    """The latest record of one step. ``order`` is ``None`` if the market rejected it before submission."""

    status: IntentStatus
    order: Order | None = None
    outcome: Outcome | None = None  # present in the last three statuses
    place: int = 0  # in the order in which the job's steps ended, from 1; 0: not ended, or unknown
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


def encode_record(record: IntentRecord) -> bytes:
    """Return the record as JSON."""
    document: dict[str, Any] = {"status": record.status}
    if record.order:
        document |= _order_document(record.order)
    if record.outcome:
        document["outcome"] = to_builtins(record.outcome)
    if record.place:
        document["place"] = record.place
    if record.resolver:
        document["resolved"] = True
        document["resolver"] = to_builtins(record.resolver)
    return dumps(document)


def decode_record(intent_id: str, text: bytes) -> IntentRecord:
    """Return the record in ``text``, which :func:`encode_record` wrote."""
    document = json.loads(text)
    order = outcome = None
    if "payload" in document:
        order = _order(intent_id, document)
    if "outcome" in document:
        fields = document["outcome"]
        outcome = Outcome(**(fields | {"status": OutcomeStatus(fields["status"])}))
    status, place = IntentStatus(document["status"]), document.get("place", 0)
    resolver = Resolver(**document.get("resolver", {})) if document.get("resolved") else None
    return IntentRecord(status, order, outcome, place, resolver)


def encode_plan(plan: Plan) -> bytes:
    """Return the plan's steps as JSON. The needs of the wallets are not encoded."""
    steps = to_builtins(plan.steps)
    for step in steps:
        step["intent"].pop("min_tokens", None)  # always 0 in a plan; earlier releases cannot read it
    return dumps(steps)


def decode_plan(text: bytes) -> Plan:
    """Return the plan in ``text``, which :func:`encode_plan` wrote. Its ``needs`` are empty."""
    return Plan([_step(document) for document in json.loads(text)], {})


def decode_log(fields: Mapping[str, bytes]) -> IntentLog | None:
    """Return the log from the fields of its hash in the store; ``None`` if it contains no plan."""
    if PLAN not in fields:
        return None
    records = {name: decode_record(name, text) for name, text in fields.items() if name != PLAN}
    return IntentLog(decode_plan(fields[PLAN]), records)


def may_follow(old: Order | None, order: Order) -> bool:
    """Return whether an order may be recorded after another one of the same intent.

    It must be the same order, or replace that one. ``store/lua/intend.lua`` checks the same.
    """
    return old is None or order.signature == old.signature or order.replaced[-1:] == (old.signature,)


def _order_document(order: Order) -> dict[str, Any]:
    optional = {
        "minTokens": order.min_tokens,
        "expires": order.expires,
        "context": order.context,
        "replaced": order.replaced,
    }
    return {
        "signature": order.signature,
        "payload": base64.b64encode(order.payload).decode(),
        **{name: value for name, value in optional.items() if value},
    }


def _order(intent_id: str, document: dict[str, Any]) -> Order:
    return Order(
        intent_id,
        document["signature"],
        base64.b64decode(document["payload"]),
        document.get("minTokens", 0),
        document.get("expires", 0),
        document.get("context", ""),
        tuple(document.get("replaced", ())),
    )


def _step(document: dict[str, Any]) -> Step:
    fields = document["intent"]
    intent = Transfer(**fields) if "destination" in fields else Buy(**fields)
    return Step(intent, document["wallet"], document["description"])
