"""Orders that expire on the paper market, in a real store: runs are killed, sends and outcomes are lost."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import suppress
from dataclasses import replace

from support.journals import LEASE_MS, Real
from support.samples import operation
from support.takeover import InterruptedPort, Interruption, Killed

from cto_worker.domain.intent_codec import decode_log
from cto_worker.domain.journal_ports import Journal
from cto_worker.domain.operation_request import parse_request
from cto_worker.errors import OperationFailed
from cto_worker.jobs.job_runner import JobRunner
from cto_worker.markets.paper import ledger
from cto_worker.markets.paper.market import PaperMarket
from cto_worker.operation.progress_reporter import accepted_event
from cto_worker.operation.run_state import ORDER_EXPIRED
from cto_worker.store import keys

INTENTS = 150  # tests/unit/operation/test_expiry.py has 1,200, on the market in memory
USERS = 5


class LossyMarket(PaperMarket):
    """The paper market behind a network that drops and delays orders, and a node that lags behind.

    Its time passes with each call, by up to half of the life of an order.
    """

    def __init__(self, store, settings, chance):
        super().__init__(store, settings)
        self.patience_s = 10**6
        self.chance, self.delayed = chance, []

    def submit(self, orders):
        self.advance()
        fates = [(self.chance.random(), order) for order in orders]
        self.delayed += [order for fate, order in fates if 0.5 <= fate < 0.75]
        if arrived := [order for fate, order in fates if fate >= 0.75]:
            super().submit(arrived)

    def outcomes(self, orders, *, wait_s):  # noqa: ARG002 - never waits
        self.advance()
        known = super().outcomes(orders, wait_s=0)
        return {name: outcome for name, outcome in known.items() if self.chance.random() < 0.7}

    def advance(self):
        self._store.incrby(keys.PAPER_SKIPPED_MS, self.chance.randint(0, self._expiry_ms // 2))
        arrived = [order for order in self.delayed if self.chance.random() < 0.2]
        self.delayed = [order for order in self.delayed if order not in arrived]
        for order in arrived:
            super().submit([order])


def run_to_the_end(book, market, number, chance):
    """Run a job with kills at 3 % of its calls. Return the records of its intents."""
    job_id = f"job-{number}"
    mode = chance.choice(["standard", "prefunded"])
    body = operation(mode=mode, walletCount=10, buyAmount=0.5, userId=f"u{number % USERS}", slippageBps=9_000)
    request = parse_request(body)
    book.journal.create(accepted_event(job_id, request), request.to_document())
    while not book.events(job_id)[-1].status.terminal:
        at = next(call for call in range(1, 10**6) if chance.random() < 0.03)
        interruption = Interruption(at, after=chance.random() < 0.5)
        journal, orders = (InterruptedPort(port, interruption) for port in (book.journal, market))
        runner = JobRunner(Journal.of(journal), orders, parallelism=chance.choice([1, 10]))
        with suppress(Killed, OperationFailed):
            runner.run_job(job_id, body, recorded=True)
        book.let_pass(LEASE_MS + 1)
    fields = book.store.hgetall(keys.intents(job_id))
    return decode_log({name.decode(): text for name, text in fields.items()}).records


def test_no_intent_executes_twice_and_every_expired_order_is_replaced_or_reported(
    store, settings, monkeypatch
):
    monkeypatch.setattr("cto_worker.jobs.job_runner.MAX_STALLS", 10**6)
    seed = random.randrange(10**6)
    chance, seen, records = random.Random(seed), Counter(), {}
    book, market = Real(store), LossyMarket(store, replace(settings, paper_expiry_ms=60_000), chance)
    while len(records) < INTENTS:
        records |= run_to_the_end(book, market, seen["jobs"], chance)
        seen["jobs"] += 1
    store.incrby(keys.PAPER_SKIPPED_MS, 10**6)
    PaperMarket.submit(market, market.delayed[-1:])  # an order that arrives long after its job has ended
    assert ledger.audit(store).discrepancies == (), f"seed {seed}"
    executions = {entry.intent_id: entry for entry in ledger.entries(store) if entry.executed}
    assert executions.keys() <= records.keys()
    for intent_id, record in records.items():
        assert (intent_id in executions) == (record.outcome.error_code != ORDER_EXPIRED), (
            f"{intent_id}: {seed}"
        )
        if entry := executions.get(intent_id):
            assert entry.signature == record.order.signature
        seen["replaced"] += len(record.order.replaced)
        seen["reported"] += record.outcome.error_code == ORDER_EXPIRED
    seen["late"] = sum(entry.kind == "expired" for entry in ledger.entries(store))
    assert min(seen[name] for name in ("replaced", "reported", "late")) > 0, f"seed {seed}: {seen}"
