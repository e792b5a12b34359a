"""The JSON of the intent log in the store. A record of an earlier release is read too."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cto_worker.domain.buy_plan import Plan, Step
from cto_worker.domain.intent_log import IntentLog, IntentRecord, IntentStatus, Resolver
from cto_worker.domain.market_port import Buy, Order, Outcome, OutcomeStatus, Transfer
from cto_worker.domain.progress_event import dumps

if TYPE_CHECKING:
    from collections.abc import Mapping

PLAN = "plan"  # the field of the log that contains the plan; no intent has this id


def encode_record(record: IntentRecord) -> bytes:
    """Return the record as JSON."""
    document: dict[str, Any] = {"status": record.status}
    if record.order:
        document |= _order_document(record.order)
    if record.outcome:
        document["outcome"] = asdict(record.outcome)
    if record.place:
        document["place"] = record.place
    if record.resolver:
        document["resolved"] = True
        document["resolver"] = asdict(record.resolver)
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
    """Return the plan's steps as JSON. The SOL that each wallet needs is not encoded."""
    return dumps([_step_document(step) for step in plan.steps])


def decode_plan(text: bytes) -> Plan:
    """Return the plan in ``text``, which :func:`encode_plan` wrote. Its ``needs`` are empty."""
    return Plan([_step(document) for document in json.loads(text)], {})


def decode_log(fields: Mapping[str, bytes]) -> IntentLog | None:
    """Return the log from the fields of its hash in the store; ``None`` if it contains no plan."""
    if PLAN not in fields:
        return None
    records = {name: decode_record(name, text) for name, text in fields.items() if name != PLAN}
    return IntentLog(decode_plan(fields[PLAN]), records)


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


def _step_document(step: Step) -> dict[str, Any]:
    document = asdict(step)
    document["intent"].pop("min_tokens", None)  # always 0 in a plan; earlier releases cannot read it
    return document


def _step(document: dict[str, Any]) -> Step:
    fields = document["intent"]
    intent = Transfer(**fields) if "destination" in fields else Buy(**fields)
    return Step(intent, document["wallet"], document["description"])
