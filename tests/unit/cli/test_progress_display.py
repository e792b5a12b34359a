"""The bars and lines of ``cto watch``."""

from __future__ import annotations

import io
import json
import re

import pytest
from rich.console import Console
from support.samples import MINT

from api.cli.rest_client import GatewayError, RestClient
from api.cli.terminal.job_state_labels import label_of
from api.cli.terminal.progress_display import BAR_WIDTH, Bars, Lines, bars, describe

EVENT = {
    "jobId": "0123456789abcdef",
    "tokenAddress": MINT,
    "mode": "prefunded",
    "attempt": 1,
    "status": "in_progress",
    "progress": 40.0,
    "phase": 2,
    "totalPhases": 5,
    "phaseTitle": "Funding",
    "phaseDescription": "Wallets are funded",
}


def drawn(event, width=80):
    """Return the last line that is drawn in a terminal of this width."""
    console = Console(force_terminal=True, width=width, file=io.StringIO(), color_system=None)
    with bars(console) as progress:
        Bars(progress).show(event)
    plain = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", console.file.getvalue())
    return plain.rstrip().splitlines()[-1]


def failed(error):
    return EVENT | {"status": "failed", "details": {"errorCode": "internal", "error": error}}


def test_a_new_bar_is_drawn_at_once():
    line = drawn(EVENT)
    for words in ("01234567", "So11…1112", "prefunded", "40 %", "2/5 Funding"):
        assert words in line


@pytest.mark.parametrize("width", [80, 100])
def test_a_bar_stays_whole_beside_a_very_long_error(width):
    line = drawn(failed("it went wrong\nin every way; " * 40) | {"progress": 100.0}, width)
    assert line.count("━") == BAR_WIDTH
    for words in ("01234567", "So11…1112", "prefunded", "100 %", "0:00:0", "failed: in"):
        assert words in line
    assert line.endswith("…")


@pytest.mark.parametrize(
    ("status", "details", "words"),
    [
        (
            "completed",
            {"outcome": "full", "successfulBuys": 3, "plannedBuys": 3},
            "completed: Wallets are funded",
        ),
        (
            "completed",
            {"outcome": "partial", "successfulBuys": 2, "plannedBuys": 10},
            "partial 2/10: Wallets",
        ),
        ("completed", {"outcome": "unknown", "needsReview": True, "unknownBuys": 1}, "needs review: Wallets"),
        (
            "failed",
            {
                "outcome": "partial",
                "successfulBuys": 3,
                "plannedBuys": 10,
                "errorCode": "cancelled",
                "error": "Cancelled on request",
            },
            "partial 3/10: cancelled: Cancelled on request",
        ),
        (
            "failed",
            {"outcome": "none", "errorCode": "cancelled", "error": "Cancelled on request"},
            " cancelled: Cancelled on request",
        ),
        (
            "failed",
            {"outcome": "none", "successfulBuys": 0, "errorCode": "all_buys_failed", "error": "No buy"},
            "failed: all_buys_failed: No buy",
        ),
        ("completed", {"successfulBuys": 2, "failedBuys": 8}, "partial 2/10: Wallets"),
    ],
)
def test_an_ended_job_shows_its_outcome(status, details, words):
    event = EVENT | {"status": status, "progress": 100.0, "details": details}
    assert words in describe(event)
    assert words[:12] in drawn(event)


@pytest.mark.parametrize(
    ("details", "needs_review", "label"),
    [
        ({"outcome": "unknown", "needsReview": True}, True, ("needs review", "yellow")),
        ({"outcome": "unknown", "needsReview": True}, False, ("unknown, reviewed", "yellow")),
        ({"outcome": "partial", "successfulBuys": 2, "plannedBuys": 10}, False, ("partial 2/10", "yellow")),
        ({"outcome": "none", "successfulBuys": 0}, True, ("needs review", "yellow")),
        ({"outcome": "full", "successfulBuys": 2, "plannedBuys": 2}, False, ("completed", "green")),
        ({"outcome": "none", "errorCode": "cancelled"}, False, ("cancelled", "dim")),
        ({"outcome": "none", "errorCode": "cancelled"}, True, ("needs review", "yellow")),
    ],
)
def test_a_list_shows_whether_an_operator_must_look_at_a_job_now(details, needs_review, label):
    assert label_of(EVENT | {"status": "completed", "details": details}, needs_review=needs_review) == label


@pytest.mark.parametrize(("attempt", "label"), [(0, "waiting"), (1, "running"), (2, "running")])
def test_a_job_that_has_not_ended_has_the_label_of_the_console(attempt, label):
    assert label_of(EVENT | {"attempt": attempt}, needs_review=False) == (label, "cyan")


def test_text_from_users_is_not_interpreted_as_markup_or_emoji():
    assert "[red]a:cat:b[/nope]" in drawn(failed("[red]a:cat:b[/nope]"), width=160)


@pytest.mark.parametrize("as_json", [False, True])
def test_lines_are_written_unchanged(as_json):
    console = Console(force_terminal=True, width=80, file=io.StringIO())
    event = failed("[red]a:cat:b[/nope] " * 20)
    Lines(console, as_json=as_json).show(event)
    text = console.file.getvalue()
    assert text.count("\n") == 1
    assert "[red]a:cat:b[/nope] " * 19 in text
    assert not as_json or json.loads(text) == event


@pytest.mark.parametrize(
    ("document", "headers"), [({"buyAmount": float("nan")}, None), ({}, {"Idempotency-Key": "ключ"})]
)
def test_a_request_that_cannot_be_sent_is_reported_as_invalid(document, headers):
    with pytest.raises(GatewayError) as failure:
        RestClient("http://127.0.0.1:1").post("/api/cto/jobs", document, headers)
    assert failure.value.code == "invalid_request"
