"""Orders that expire are replaced, within their limits and a bounded number of times."""

from __future__ import annotations

import random
import threading
from collections import Counter
from dataclasses import dataclass, field, replace

import pytest
from support.takeover import (
    JOB,
    ChainMarket,
    Interruption,
    RecordedJob,
    Variant,
    assert_consistent,
    executed,
    position,
)

from cto_worker.domain.intent_log import IntentStatus
from cto_worker.domain.journal_ports import Journal
from cto_worker.domain.market_port import Buy, OutcomeStatus
from cto_worker.domain.progress_event import Mode
from cto_worker.jobs.job_runner import JobRunner
from cto_worker.observability.metered_journal import metered
from cto_worker.observability.metric_definitions import REGISTRY
from cto_worker.operation.run_state import ORDER_EXPIRED
from cto_worker.operation.step_executor import MAX_REPLACEMENTS
from cto_worker.testing.in_memory_market import LIFE_BLOCKS

ALWAYS = 10**6
BUY_1 = f"{JOB}:wallet-1:buy.1"


def signatures(intent_id, count):
    return tuple(f"signature {number} of {intent_id}" for number in range(1, count + 1))


def test_an_expired_order_is_replaced_and_the_log_keeps_its_signature():
    job = RecordedJob(expiring={"wallet-1:": 2})
    assert job.run()["successfulBuys"] == 3
    assert_consistent(job)
    first, second, third = signatures(BUY_1, 3)
    record = job.records[BUY_1]
    assert record.status is IntentStatus.CONFIRMED
    assert (record.order.signature, record.order.replaced) == (third, (first, second))
    assert first not in job.result["transactionSignatures"]
    assert third in job.result["transactionSignatures"]


def test_an_order_that_expires_again_and_again_fails_its_step_and_moves_no_money():
    job = RecordedJob(expiring={"wallet-1:": ALWAYS})
    result = job.run()
    assert_consistent(job)
    assert (result["successfulBuys"], result["failedBuys"], result["unknownBuys"]) == (2, 1, 0)
    (step,) = [step for step in result["steps"] if step["wallet"] == "wallet-1"]
    assert (step["status"], step["errorCode"], step["spent"]) == ("failed", ORDER_EXPIRED, 0)
    assert len(job.market.sent[BUY_1]) == 1 + MAX_REPLACEMENTS
    assert job.records[BUY_1].order.replaced == signatures(BUY_1, MAX_REPLACEMENTS)
    assert not job.state.review, "it is certain that nothing was bought"


@pytest.mark.parametrize("parallelism", [1, 10])
def test_a_wallet_waits_for_the_transfer_that_replaces_an_expired_one(parallelism):
    job = RecordedJob(Variant(Mode.STANDARD, parallelism), expiring={"wallet-2:transfer": 1})
    assert job.run()["successfulBuys"] == 3
    assert_consistent(job)
    order = [execution.intent_id for execution in job.market.executions if "wallet-2" in execution.intent_id]
    assert order == [f"{JOB}:wallet-2:transfer", f"{JOB}:wallet-2:buy.1"]


@dataclass
class MovingMarket(ChainMarket):
    """A market whose price moves before the second order of an intent is prepared."""

    moves_to: int = 10  # tokens per lamport
    asked: list[Buy] = field(default_factory=list)
    ignore_limit: bool = False

    def prepare(self, intents):
        if self.asked:
            self.tokens_per_lamport = self.moves_to
        self.asked += intents
        return super().prepare([replace(i, min_tokens=0) if self.ignore_limit else i for i in intents])


def moved_job(**market):
    return RecordedJob(market_type=MovingMarket, body={"walletCount": 1}, expiring={"wallet": 1}, **market)


def test_the_limit_is_that_of_the_first_order_although_the_price_has_moved():
    """9.6 instead of 10 tokens per lamport, at 5 %: a new quote would allow 9.12."""
    job = moved_job(moves_to=10)
    job.market.tokens_per_lamport = 100
    job.market.moves_to = 96
    assert job.run()["successfulBuys"] == 1
    first, second = job.market.asked
    assert (first.min_tokens, second.min_tokens) == (0, 95 * first.lamports)
    assert replace(second, min_tokens=0) == first, "the amount and the fees are those of the first order"
    assert job.records[BUY_1].order.min_tokens == 95 * first.lamports


@pytest.mark.parametrize(
    ("options", "code"),
    [({"moves_to": 9}, "slippage_exceeded"), ({"ignore_limit": True, "moves_to": 9}, "limit_ignored")],
)
def test_an_order_beyond_the_limit_of_the_expired_one_is_not_sent(options, code):
    job = moved_job(**options)
    result = job.run()
    assert_consistent(job)
    assert (result["errorCode"], result["steps"][0]["errorCode"]) == ("all_buys_failed", code)
    assert (len(job.market.sent[BUY_1]), job.market.executions) == (1, [])
    assert result["steps"][0]["signature"] == signatures(BUY_1, 1)[0], "an order was sent"
    assert job.records[BUY_1].order.signature == signatures(BUY_1, 1)[0]


def test_the_reported_outcome_and_not_the_passed_time_allows_a_replacement():
    """An order without an outcome becomes unknown, although its life has certainly passed on another node."""
    job = RecordedJob(silent=("wallet-1:",), expiring={"wallet-1:": ALWAYS})
    result = job.run()
    assert result["unknownBuys"] == 1
    assert len(job.market.sent[BUY_1]) == 1
    assert job.state.review


def test_a_cancelled_job_does_not_replace_an_expired_order():
    job = RecordedJob(expiring={"wallet-1:": ALWAYS})
    job.run(Interruption(position("submit"), after=True))
    job.journal.request_cancel(JOB)
    job.take_over()
    assert_consistent(job)
    assert (job.result["errorCode"], job.result["failedBuys"]) == ("cancelled", 1)
    assert job.result["steps"][0]["errorCode"] == ORDER_EXPIRED
    assert len(job.market.sent[BUY_1]) == 1
    assert not job.state.review


def test_a_cancellation_just_before_the_replacement_is_recorded_prevents_it():
    job = RecordedJob(expiring={"wallet-1:": ALWAYS})
    seen = []

    def cancel(intent_ids):
        seen.extend(intent_ids)
        if seen.count(BUY_1) == 2:
            job.journal.request_cancel(JOB)

    job.journal.before_intent = cancel
    assert job.run()["errorCode"] == "cancelled"
    assert_consistent(job)
    assert len(job.market.sent[BUY_1]) == 1


def test_a_stopping_worker_leaves_an_expired_order_to_the_next_run():
    job, stopping = RecordedJob(expiring={"wallet-1:": 1}), threading.Event()
    interruption = Interruption(position("submit"), after=True, action=stopping.set)
    assert job.run(interruption, stopping=stopping) is None
    assert job.records[BUY_1].unsettled
    assert job.records[BUY_1].order.replaced == ()
    interruption = Interruption()
    job.run(interruption)
    assert interruption.calls[:5] == ["claim", "append", "outcomes", "append", "prepare"]
    assert job.result["successfulBuys"] == 3
    assert_consistent(job)


def test_a_parked_job_does_not_ask_about_an_order_so_it_is_unknown_though_it_has_expired():
    job = RecordedJob(expiring={"wallet-1:": ALWAYS})
    job.run(Interruption(position("submit"), after=True))
    job.stall(4)
    job.take_over()
    assert job.result["errorCode"] == "needs_review"
    assert job.records[BUY_1].status is IntentStatus.UNKNOWN


def test_the_metrics_count_replacements_apart_from_intents():
    def counts():
        labels = [{"kind": "buy", "status": status} for status in ("intended", "replaced", "confirmed")]
        return [REGISTRY.get_sample_value("cto_intents_total", each) for each in labels]

    job, before = RecordedJob(expiring={"wallet-1:": 2}), counts()
    JobRunner(metered(Journal.of(job.journal)), job.market).run_job(JOB, job.body, recorded=True)
    assert [after - earlier for after, earlier in zip(counts(), before, strict=True)] == [3, 2, 3]


# --- a trial with every fault at once ----------------------------------------------------------------------


@dataclass
class LossyMarket(ChainMarket):
    """A chain on which orders are dropped, delayed beyond their life, and hidden by nodes that lag behind."""

    chance: random.Random = field(default_factory=random.Random)
    delayed: list = field(default_factory=list)  # orders and the heights at which they arrive

    def submit(self, orders):
        self.advance()
        for order in orders:
            delay = self.chance.random()
            if delay < 0.5:
                continue  # dropped
            if delay < 0.75:
                self.delayed.append((self.height + self.chance.randint(1, 2 * LIFE_BLOCKS), order))
            else:
                super().submit([order])

    def outcomes(self, orders, *, wait_s):
        """A node that lags knows nothing. It must not conclude that an order has expired."""
        self.advance()
        known = super().outcomes(orders, wait_s=wait_s)
        return {name: outcome for name, outcome in known.items() if self.chance.random() < 0.7}

    def advance(self):
        self.height += self.chance.randint(0, 60)
        arrived = [order for height, order in self.delayed if height <= self.height]
        self.delayed = [(height, order) for height, order in self.delayed if height > self.height]
        super().submit(arrived)


def run_lossy_job(chance):
    """Run a job with kills at 3 % of its calls. Return it when it has ended."""
    variant = Variant(chance.choice(list(Mode)), chance.choice([1, 3, 10]))
    job = RecordedJob(variant, LossyMarket, {"walletCount": 10}, chance=chance, patience_s=ALWAYS)
    while not job.state.status.ended:
        at = next(number for number in range(1, 10**6) if chance.random() < 0.03)
        job.take_over(Interruption(at, after=chance.random() < 0.5))
    return job


def test_none_of_1200_intents_executes_twice_and_every_expired_order_is_replaced_or_reported(monkeypatch):
    monkeypatch.setattr("cto_worker.operation.phases.MAX_STALLS", ALWAYS)
    monkeypatch.setattr("cto_worker.jobs.job_runner.MAX_STALLS", ALWAYS)
    seed = random.randrange(10**6)
    chance, seen = random.Random(seed), Counter()
    while seen["intents"] < 1_200:
        job = run_lossy_job(chance)
        job.market.before_execution = lambda _: None
        job.market.pass_expiry()
        job.market.advance()  # an order that arrives after the end of its job has expired, too
        done = executed(job.market)  # no intent twice
        assert_consistent(job)
        for intent_id, record in job.records.items():
            assert (intent_id in done) == (record.status is IntentStatus.CONFIRMED), (
                f"seed {seed}: {intent_id}"
            )
            assert record.outcome.status is not OutcomeStatus.UNKNOWN
            seen["intents"] += 1
            seen["replacements"] += len(record.order.replaced)
            seen["reported"] += record.outcome.error_code == ORDER_EXPIRED
        seen["takeovers"] += job.state.attempt - 1
    assert min(seen.values()) > 20, f"seed {seed}: {seen}"
