"""Values that several tests start from."""

from __future__ import annotations

from uuid import uuid4

from cto_worker.domain.progress_event import TOTAL_PHASES, WORKER_TYPE, Mode, ProgressEvent, Status

MINT = "So11111111111111111111111111111111111111112"

FIRST_EVENT = ProgressEvent(
    worker_type=WORKER_TYPE,
    total_phases=TOTAL_PHASES,
    job_id="j1",
    seq=1,
    attempt=0,
    token_address=MINT,
    user_id="7",
    user_chat_id=1,
    phase=1,
    phase_title="t",
    phase_description="d",
    progress=10,
    status=Status.STARTED,
    timestamp=1_700_000_000_000,
    mode=Mode.STANDARD,
    platform="unknown",
    buy_amount=0.5,
)


def operation(**changes):
    """Return a request for an operation. A change to ``None`` leaves a field out."""
    request = {
        "tokenAddress": MINT,
        "userId": "7",
        "userChatId": 1,
        "mode": "prefunded",
        "buyAmount": 0.05,
        "walletCount": 2,
    }
    return {name: value for name, value in (request | changes).items() if value is not None}


def new_user():
    """Return the id of a user that no other test has."""
    return f"u-{uuid4().hex[:12]}"
