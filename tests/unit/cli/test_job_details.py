"""The view of one job: its amounts, and the resolutions of its unknown steps."""

from __future__ import annotations

from msgspec import json
from rich.console import Console
from support.samples import FIRST_EVENT

from api.cli.terminal.amount_format import sol
from api.cli.terminal.job_details import print_job

STEP = {"kind": "buy", "wallet": "w1", "status": "unknown", "signature": "s1", "spent": 0, "tokens": 0}
RECORD = {"signature": "s1", "kind": "buy", "executed": True, "spent": 0.33343, "tokens": 1_000}


def shown(*resolutions, **event):
    latest = json.decode(json.encode(FIRST_EVENT)) | event
    console = Console(width=200)
    with console.capture() as captured:
        print_job(
            console,
            {
                "jobId": "j1",
                "status": "completed",
                "outcome": "unknown",
                "needsReview": not resolutions,
                "resolutions": list(resolutions),
                "progressEvents": [latest],
                "latestProgress": latest,
                "operationResult": {"steps": [STEP], "wallets": []},
                "currentPhase": 5,
                "currentProgress": 100,
            },
        )
    return captured.get()


def test_amounts_are_shown_with_all_their_decimals_and_without_an_exponent():
    for amount, text in (
        (1_000_000, "1000000"),
        (1_234.5678, "1234.5678"),
        (0.5, "0.5"),
        (1e-9, "0.000000001"),
    ):
        assert f"amount     {text} SOL" in shown(buyAmount=amount), amount
        assert f"spent      {text} SOL" in shown(details={"totalSpent": amount}), amount
    assert sol(0.1 + 0.2) == "0.3"
    assert sol(float("inf")) == "inf", "an input that the gateway refuses"


def test_an_unknown_step_has_no_cost_until_an_operator_resolves_it():
    ended = {"status": "completed", "details": {"outcome": "unknown", "needsReview": True}}
    before = shown(**ended)
    assert "needs review (completed)" in before
    assert "buy        unknown    cost not known" in before
    assert "resolved" not in before
    after = shown(RECORD | {"by": "root", "at": 1_700_000_000_000}, **ended)
    assert "resolved as executed by root, " in after
    assert ": spent 0.33343 SOL, 1,000 base units" in after
    assert "1 of 1 unknown steps resolved as executed: 0.33343 SOL and 1,000 base units in addition" in after
    of_earlier_release = shown(RECORD | {"by": "", "at": 0, "executed": False}, **ended)
    assert "resolved as not executed: spent" in of_earlier_release
