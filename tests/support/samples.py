"""Values that several tests start from."""

from __future__ import annotations

from cto_worker.domain.events import Mode, ProgressEvent, Status

FIRST_EVENT = ProgressEvent(
    job_id="j1",
    seq=1,
    attempt=0,
    token_address="So11111111111111111111111111111111111111112",
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
