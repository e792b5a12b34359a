"""The rule that decides whether a transaction landed, failed, or expired; and its fault trial."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.landing_trial import Trial, after_a_timeout, by_separate_views, by_the_rule

from cto_worker.markets.solana.landing_rule import Fate, Level, NodeAnswer, SentOrder, Status, fate

ORDER = SentOrder("signature", last_valid_block_height=1_150, slot=1_080, genesis_hash="genesis")
PROOF = NodeAnswer(
    genesis_hash="genesis",
    first_available_slot=5,
    finalized_height=1_151,
    finalized_slot=1_230,
    context_slot=1_265,
    history_searched=True,
    status=None,
)


def test_a_missing_status_in_a_finalized_view_past_the_last_valid_height_proves_expiry():
    assert fate(ORDER, [PROOF, PROOF], providers=2) is Fate.EXPIRED


@pytest.mark.parametrize(
    "change",
    [
        {"finalized_height": 1_150},
        {"history_searched": False},
        {"context_slot": 1_229},
        {"first_available_slot": 1_081},
        {"genesis_hash": "another chain"},
        {"status": Status(Level.PROCESSED, error=False)},
        {"status": Status(Level.PROCESSED, error=True)},
    ],
    ids=str,
)
def test_each_condition_of_expiry_is_necessary_at_every_provider(change):
    weaker = replace(PROOF, **change)
    assert fate(ORDER, [weaker], providers=1) is Fate.PENDING
    assert fate(ORDER, [PROOF, weaker], providers=2) is Fate.PENDING
    assert fate(ORDER, [weaker, PROOF], providers=2) is Fate.PENDING


def test_a_provider_that_does_not_answer_proves_nothing():
    assert fate(ORDER, [], providers=0) is Fate.PENDING
    assert fate(ORDER, [PROOF], providers=2) is Fate.PENDING


@pytest.mark.parametrize("level", [Level.CONFIRMED, Level.FINALIZED])
def test_one_confirmed_status_decides_whatever_the_other_provider_lacks(level):
    for error, expected in ((False, Fate.LANDED), (True, Fate.FAILED)):
        landed = replace(PROOF, status=Status(level, error=error))
        assert fate(ORDER, [PROOF, landed], providers=2) is expected


def test_a_status_of_another_chain_does_not_count():
    other = replace(PROOF, genesis_hash="another chain", status=Status(Level.FINALIZED, error=False))
    assert fate(ORDER, [other], providers=1) is Fate.PENDING


def test_only_the_rule_never_executes_an_intent_twice_under_faults():
    """Sends are dropped and delayed, nodes lag, clients are killed. Weaker rules fail in the same trial."""
    results = {rule: Trial(rule, seed=1).run() for rule in (after_a_timeout, by_separate_views, by_the_rule)}
    assert results[after_a_timeout].executed_twice > 100
    assert results[by_separate_views].executed_twice > 0
    ours = results[by_the_rule]
    assert ours.replaced > 50, "the trial has no expired orders"
    assert (ours.executed_twice, ours.never_executed) == (0, 0)
