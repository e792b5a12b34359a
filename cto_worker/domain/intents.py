"""The intent log: what each step of an operation was to do, what was sent for it, and what became of it.

``planned → intended → submitted → confirmed | failed | unknown``. A step is planned when the plan names it
and nothing is recorded of it yet. ``intended`` is on disk before anything is sent, with the exact bytes of
the order; so whoever takes the job over can ask about it, and send the same bytes again, which executes
nothing twice.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from cto_worker.domain.events import dumps
from cto_worker.domain.market import Buy, Order, Outcome, OutcomeStatus, Transfer
from cto_worker.domain.plan import Plan, Step

if TYPE_CHECKING:
    from collections.abc import Mapping

PLAN = "plan"  # the name under which the log keeps the plan; no intent has this id


class IntentStatus(StrEnum):
    """How far a step has got."""

    INTENDED = "intended"  # about to be sent, or sent: nobody can tell before the market is asked
    SUBMITTED = "submitted"  # sent, for sure
    CONFIRMED = "confirmed"  # executed
    FAILED = "failed"  # not executed
    UNKNOWN = "unknown"  # the market did not say in time; an operator resolves it


@dataclass(frozen=True, slots=True)
class IntentRecord:
    """The latest that is known of one step. ``order`` is ``None`` when it was refused before it was sent."""

    status: IntentStatus
    order: Order | None = None
    outcome: Outcome | None = None  # for the last three statuses
    resolved: bool = False  # an operator, not the market, told the outcome

    @property
    def open(self) -> bool:
        """Whether the market must be asked what became of it."""
        return self.outcome is None


@dataclass(frozen=True, slots=True)
class IntentLog:
    """One job's plan, and what is recorded of its steps, by intent id."""

    plan: Plan
    records: Mapping[str, IntentRecord]


def settled(order: Order | None, outcome: Outcome) -> IntentRecord:
    """The record of a step whose outcome is known, or is known not to be."""
    return IntentRecord(IntentStatus(outcome.status.value), order, outcome)


def encode_record(record: IntentRecord) -> bytes:
    """Return a record as JSON."""
    document: dict[str, Any] = {"status": record.status}
    if record.order:
        document["signature"] = record.order.signature
        document["payload"] = base64.b64encode(record.order.payload).decode()
    if record.outcome:
        document["outcome"] = asdict(record.outcome)
    if record.resolved:
        document["resolved"] = True
    return dumps(document)


def decode_record(intent_id: str, text: bytes) -> IntentRecord:
    """Return the record in ``text``, as :func:`encode_record` wrote it."""
    document = json.loads(text)
    order = outcome = None
    if "payload" in document:
        order = Order(intent_id, document["signature"], base64.b64decode(document["payload"]))
    if "outcome" in document:
        fields = document["outcome"]
        outcome = Outcome(**(fields | {"status": OutcomeStatus(fields["status"])}))
    return IntentRecord(
        IntentStatus(document["status"]), order, outcome, resolved=document.get("resolved", False)
    )


def encode_plan(plan: Plan) -> bytes:
    """Return the plan's steps as JSON. What the wallets needed before the first is not kept."""
    return dumps([asdict(step) for step in plan.steps])


def decode_plan(text: bytes) -> Plan:
    """Return the plan in ``text``, as :func:`encode_plan` wrote it."""
    return Plan([_step(document) for document in json.loads(text)], {})


def decode_log(fields: Mapping[str, bytes]) -> IntentLog | None:
    """Return the log that the store keeps as ``fields``, or ``None`` when nothing was planned yet."""
    if PLAN not in fields:
        return None
    records = {name: decode_record(name, text) for name, text in fields.items() if name != PLAN}
    return IntentLog(decode_plan(fields[PLAN]), records)


def _step(document: dict[str, Any]) -> Step:
    fields = document["intent"]
    intent = Transfer(**fields) if "destination" in fields else Buy(**fields)
    return Step(intent, document["wallet"], document["description"])
