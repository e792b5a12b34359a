"""Ended jobs with chosen properties, for the archive."""

from __future__ import annotations

from msgspec.structs import replace

from cto_worker.domain.buy_plan import Plan, Step
from cto_worker.domain.ended_job import EndedJob
from cto_worker.domain.intent_codec import PLAN, encode_plan, encode_record
from cto_worker.domain.intent_log import IntentRecord, IntentStatus
from cto_worker.domain.market_port import Buy, Order
from cto_worker.domain.progress_event import Details, Status, dumps, encode
from support.samples import FIRST_EVENT

DETAILS = frozenset(Details.__struct_fields__)


def ended_job(job_id="j1", created_ms=1_000, *, wallets=("w1",), signatures=(), **changes):
    """Return a job of one event after the first. ``changes`` are of the event or of its details.

    ``wallets`` are planned; the first one has an order for each of ``signatures``.
    """
    details = Details(**{name: changes.pop(name) for name in DETAILS & set(changes)})
    first = replace(
        FIRST_EVENT, **changes | {"job_id": job_id, "timestamp": created_ms, "status": Status.STARTED}
    )
    last = replace(
        first,
        seq=2,
        attempt=1,
        phase=5,
        progress=100,
        timestamp=created_ms + 500,
        status=changes.get("status", Status.COMPLETED),
        details=details,
    )
    result = dumps({"successfulBuys": details.successful_buys})
    return EndedJob(
        job_id,
        created_ms,
        b"{}",
        [encode(first), encode(last)],
        result,
        _log(job_id, first, wallets, signatures),
    )


def _log(job_id, first, wallets, signatures):
    """Return the fields of an intent log: the orders of all signatures are unknown."""
    buys = [
        Buy(f"{job_id}:{wallet}:buy.{number}", first.user_id, wallet, first.token_address, 1, 1, 1)
        for wallet in wallets
        for number, _ in enumerate(signatures or [""], 1)
    ]
    log = {PLAN: encode_plan(Plan([Step(buy, buy.wallet, "Buying") for buy in buys], {}))}
    for buy, signature in zip(buys, signatures, strict=False):
        order = Order(buy.intent_id, signature, b"bytes")
        log[buy.intent_id] = encode_record(IntentRecord(IntentStatus.SUBMITTED, order))
    return log
