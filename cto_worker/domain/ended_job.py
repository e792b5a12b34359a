"""An ended job as a value: what the archive keeps of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cto_worker.domain.intent_codec import decode_log
from cto_worker.domain.intent_log import IntentStatus
from cto_worker.domain.job_summary import RecordedStep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class EndedJob:
    """All data of an ended job, as the store has it."""

    job_id: str
    created_ms: int  # ms since the epoch
    request: bytes  # JSON object
    events: Sequence[bytes]  # JSON objects: the complete history, oldest first
    result: bytes  # JSON: the operation's result
    intents: Mapping[str, bytes]  # the fields of the intent log, with the resolutions applied


def wallets_of(request: bytes, intents: Mapping[str, bytes]) -> set[str]:
    """Return the operation wallets that a job's request names, or that its plan uses."""
    requested = set(json.loads(request).get("wallets", ()))
    log = decode_log(intents)
    return requested | {step.wallet for step in log.plan.steps} if log else requested


def recorded_steps(intents: Mapping[str, bytes]) -> list[RecordedStep]:
    """Return the steps whose outcomes an operator has recorded."""
    log = decode_log(intents)
    return [
        RecordedStep(intent_id, record.status is IntentStatus.CONFIRMED, record.outcome.spent_lamports)
        for intent_id, record in (log.records if log else {}).items()
        if record.resolved and record.outcome
    ]


def signatures_of(event: bytes, intents: Mapping[str, bytes]) -> set[str]:
    """Return the signatures of a job's transactions: those in its latest event and of all its orders."""
    confirmed = json.loads(event).get("details", {}).get("transactionSignatures", ())
    log = decode_log(intents)
    records = log.records.values() if log else ()
    ordered = [
        each for record in records if (order := record.order) for each in (order.signature, *order.replaced)
    ]
    settled = [record.outcome.signature for record in records if record.outcome]
    return {signature for signature in (*confirmed, *ordered, *settled) if signature}
