"""The figures that `cto resolve` proposes, and its warnings."""

from __future__ import annotations

import pytest

from api.cli.commands.resolution_advice import doubts, options, placeholders
from cto_worker.store.job_review import Resolution, UnknownIntent

BUY = UnknownIntent("j:w1:buy", "Buying with wallet 1 of 3", "buy", "w1", 300_000_000, "s1")
TRANSFER = UnknownIntent("j:w1:transfer", "Funding wallet 1 of 3", "transfer", "w1", 300_000_000, "s2")
BOUGHT = Resolution(True, 303_000_005, 6_405_010_687_970)


def test_the_options_are_complete_and_exact():
    assert options(BOUGHT) == "--executed --spent 0.303000005 --tokens 6405010687970"
    assert options(Resolution(False, 5_000)) == "--not-executed --spent 0.000005000"
    assert placeholders(BUY) == "--executed --spent SOL --tokens BASE_UNITS"
    assert placeholders(TRANSFER) == "--executed --spent SOL"


@pytest.mark.parametrize(
    ("intent", "entered", "found"),
    [
        (BUY, BOUGHT, []),
        (BUY, Resolution(False), []),
        (TRANSFER, Resolution(True, 5_000), []),
        (BUY, Resolution(True, 303_000_005, 100), ["--tokens is 100 base units"]),
        (BUY, Resolution(True, 0, 10**6), ["--spent is 0.000000000 SOL, and 0.300000000 SOL"]),
        (BUY, Resolution(True, 700_000_000), ["--spent is 0.700000000 SOL", "--tokens is 0 base units"]),
    ],
)
def test_improbable_figures_are_doubted(intent, entered, found):
    texts = doubts(intent, entered, None)
    assert [text[: len(start)] for text, start in zip(texts, found, strict=True)] == found


def test_the_ledger_decides_on_the_paper_market():
    assert doubts(BUY, BOUGHT, {BUY.intent_id: BOUGHT}) == []
    assert doubts(BUY, Resolution(False), {}) == []
    assert doubts(BUY, Resolution(True, 1), {BUY.intent_id: BOUGHT}) == [
        f"the ledger of the paper market has {options(BOUGHT)}"
    ]
