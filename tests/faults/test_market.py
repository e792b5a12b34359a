"""A market that executes and does not say so, or says so late, or executes late."""

from __future__ import annotations

import pytest
from waiting import wait_until

from cto_worker import ledger
from faults.criteria import check


@pytest.mark.parametrize("fault", ["LOST", "SILENT", "LATE"])
def test_what_was_executed_is_never_called_failed(build, fault):
    system = build(**{"CTO_PAPER_TIMEOUT_MS": "300", f"CTO_PAPER_{fault}_RATE": "0.5"})
    system.worker()
    jobs = [system.submit(mode=mode, walletCount=8) for mode in ("standard", "prefunded") * 3]
    system.ended(jobs)

    def settled():
        seen = check(system, jobs, unknown_allowed=True)
        executed = {entry.intent_id for entry in ledger.entries(system.client) if entry.intent_id}
        return seen, executed

    seen, _ = settled()
    if fault == "LOST":
        assert seen["unknown"] == 0, "asking tells"
    else:
        assert seen["unknown"] > 0
    if fault == "LATE":
        late = wait_until(lambda: (now := settled()) and len(now[1]) > 48 / 2 and now)
        assert late[0]["unknown"] == seen["unknown"], "an end is an end"
