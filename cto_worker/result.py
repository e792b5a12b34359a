"""What an operation comes to: the result in its REST status and in Celery's metadata."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from cto_worker.market import Buy
from cto_worker.money import to_sol

if TYPE_CHECKING:
    from cto_worker.market import Outcome
    from cto_worker.operation import Operation
    from cto_worker.plan import Step


def summary_of(operation: Operation) -> str:
    """The counts in one line, for people."""
    tally = operation.story.tally
    counts = [f"{tally.successful_buys} buys succeeded", f"{tally.failed_buys} failed"]
    if tally.unknown_buys or tally.unknown_transfers:
        counts.append(f"{tally.unknown_buys + tally.unknown_transfers} unknown")
    return f"{', '.join(counts)}; {to_sol(tally.spent_lamports):.9g} SOL spent"


def result_of(operation: Operation, error: tuple[str, str] | None) -> dict[str, Any]:
    """The complete result. ``error`` is code and text, ``None`` for success. SOL, ms and base units."""
    tally, request = operation.story.tally, operation.request
    result: dict[str, Any] = {
        "success": error is None,
        "mode": request.mode.value,
        "platform": operation.story.platform,
        "buyAmount": request.buy_amount,
        "successfulBuys": tally.successful_buys,
        "failedBuys": tally.failed_buys,
        "unknownBuys": tally.unknown_buys,
        "unknownTransfers": tally.unknown_transfers,
        "totalSpent": to_sol(tally.spent_lamports),
        "tokensBought": tally.tokens,
        "walletsUsed": len(tally.wallets),
        "transactionSignatures": tally.signatures,
        "durationMs": round((time.monotonic() - operation.started_s) * 1000),
        "steps": [step_result(step, outcome) for step, outcome in operation.done],
    }
    if error:
        result["errorCode"], result["error"] = error
    return result


def step_result(step: Step, outcome: Outcome) -> dict[str, Any]:
    """What became of one transfer or buy. SOL and base units."""
    document: dict[str, Any] = {
        "kind": "buy" if isinstance(step.intent, Buy) else "transfer",
        "wallet": step.wallet,
        "status": outcome.status.value,
        "signature": outcome.signature or None,  # an order that was refused before it was sent has none
        "spent": to_sol(outcome.spent_lamports),
        "tokens": outcome.tokens,
    }
    if outcome.error_code:
        document["errorCode"], document["error"] = outcome.error_code, outcome.error
    return document
