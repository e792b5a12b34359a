"""A recorded job on the in-memory journal and market, and runs that are interrupted at a chosen call."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from cto_worker.domain.intent_codec import decode_log
from cto_worker.domain.intent_log import IntentStatus
from cto_worker.domain.journal_ports import Journal
from cto_worker.domain.operation_request import parse_request
from cto_worker.domain.progress_event import Mode, encode
from cto_worker.errors import OperationFailed
from cto_worker.jobs.job_runner import JobRunner
from cto_worker.operation.progress_reporter import accepted_event
from cto_worker.testing.in_memory_journal import InMemoryJournal
from cto_worker.testing.in_memory_market import InMemoryMarket
from support.operations import BODY

JOB = "j1"
# The calls of journal and market before and after which a run can be interrupted: all that write anything, or
# that return what the run depends on.
CALLS = {
    "claim",
    "append",
    "intend",
    "record_submission",
    "release",
    "account",
    "detect",
    "account_costs",
    "prepare",
    "submit",
    "outcomes",
}
# With several orders in flight, a run can also be interrupted between two orders of a batch ("execute").
WRITES = {"append", "intend", "record_submission"}


class Variant(NamedTuple):
    """How an operation runs: the source of its SOL, and the maximum number of orders in flight."""

    mode: Mode
    parallelism: int

    def __str__(self):
        return f"{self.mode}-{self.parallelism}"


PREFUNDED, STANDARD = Variant(Mode.PREFUNDED, 1), Variant(Mode.STANDARD, 1)
VARIANTS = [Variant(mode, parallelism) for parallelism in (1, 10) for mode in Mode]


class Killed(BaseException):
    """The end of a run without any clean-up, as after SIGKILL."""


def kill():
    raise Killed


@dataclass
class Interruption:
    """Records a run's calls, and performs ``action`` before or after one of them."""

    at: int = 0  # the number of the call; 0: never
    after: bool = False
    action: object = kill
    calls: list[str] = field(default_factory=list)

    def call(self, name, function, *args, **options):
        self.calls.append(name)
        here = len(self.calls) == self.at
        if here and not self.after:
            self.action()
        try:
            return function(*args, **options)
        finally:
            if here and self.after:
                self.action()


class InterruptedPort:
    """A journal or market whose calls pass through an interruption."""

    def __init__(self, port, interruption):
        self._port, self._interruption = port, interruption

    def __getattr__(self, name):
        attribute = getattr(self._port, name)
        if name not in CALLS:
            return attribute
        return lambda *args, **options: self._interruption.call(name, attribute, *args, **options)


@dataclass
class ChainMarket(InMemoryMarket):
    """A market that notes the bytes of every submission."""

    sent: dict[str, list[bytes]] = field(default_factory=dict)  # by intent

    def submit(self, orders):
        for order in orders:
            self.sent.setdefault(order.intent_id, []).append(order.payload)
        super().submit(orders)


class RecordedJob:
    """One recorded job, its journal and its market, and the runs that a test starts."""

    def __init__(self, variant=PREFUNDED, market_type=ChainMarket, body=(), **market):
        self.market = market_type(**market)
        self.journal = InMemoryJournal()
        self.body = BODY | {"mode": variant.mode.value} | dict(body)
        self.parallelism = variant.parallelism
        request = parse_request(self.body)
        self.journal.create(accepted_event(JOB, request), request.to_document())

    def run(self, interruption=None, **runner):
        """Run the job once. Return the worker's result; ``None`` if the run was killed or lost the job."""
        interruption = interruption or Interruption()
        journal = Journal.of(InterruptedPort(self.journal, interruption))
        market = InterruptedPort(self.market, interruption)
        if self.parallelism > 1:
            self.market.before_execution = lambda _: interruption.call("execute", lambda: None)
        try:
            return JobRunner(journal, market, parallelism=self.parallelism, **runner).run_job(
                JOB, self.body, recorded=True
            )
        except OperationFailed as failure:
            return failure.result
        except Killed:
            return None

    def expire_lease(self):
        self.journal.now_ms += self.journal.lease_ms + 1

    def take_over(self, interruption=None):
        """Run the job after the previous run's lease has expired."""
        self.expire_lease()
        return self.run(interruption)

    def stall(self, times):
        """Lose runs right after their claim."""
        for _ in range(times):
            self.take_over(Interruption(1, after=True))

    def lose_durability(self):
        """Let the journal write without a confirmation that the write is on disk."""
        self.journal.durable = False

    @property
    def state(self):
        return self.journal.jobs[JOB]

    @property
    def events(self):
        return self.state.events

    @property
    def records(self):
        log = decode_log(self.state.log)
        return dict(log.records) if log else {}

    @property
    def result(self):
        """The operation's result as clients read it, with a constant duration."""
        metadata = self.journal.metadata[JOB]
        assert metadata["status"] in {"SUCCESS", "FAILURE"}
        result = metadata["result"]
        return (result if metadata["status"] == "SUCCESS" else result["exc_message"][2]) | {"durationMs": 0}


def assert_consistent(job):
    """Check the invariants of every ended job: order, money, and one order per intent."""
    events = job.events
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.status.terminal for event in events] == [False] * (len(events) - 1) + [True]
    for name in ("attempt", "phase", "progress"):
        values = [getattr(event, name) for event in events]
        assert values == sorted(values), f"{name} falls"
    spent = [event.details.total_spent for event in events[1:]]
    assert spent == sorted(spent)
    assert job.journal.published == [encode(event) for event in events]
    steps = [event.details.last_step for event in events if event.details.last_step]
    assert steps == job.result["steps"], "each step is reported once, in order"
    for intent_id, payloads in job.market.sent.items():
        order = job.records[intent_id].order
        sent = {f"signature {payload.rpartition(b'#')[2].decode()} of {intent_id}" for payload in payloads}
        assert sent <= {*order.replaced, order.signature}, f"{intent_id}: each sent order is recorded"
        assert not {*order.replaced} & job.market.executed.keys(), "a replaced order was not executed"
        if job.records[intent_id].status is IntentStatus.CONFIRMED:
            assert order.signature in job.market.executed
    executed(job.market)
    assert not [intent_id for intent_id, record in job.records.items() if record.unsettled]
    assert job.journal.find_orphans() == []


def executed(market):
    """Return the outcome of each executed intent, without its signature. No intent was executed twice."""
    assert len(market.executions) == len({execution.intent_id for execution in market.executions})
    return {
        execution.intent_id: replace(market.executed[execution.signature], signature="")
        for execution in market.executions
    }


def assert_same_end(job, reference):
    """Check that a job ended as an uninterrupted one did: same result, money and last event.

    Orders that were in flight together may complete in another order.
    """
    assert_consistent(job)
    assert _comparable(job, job.result) == _comparable(reference, reference.result)
    assert executed(job.market) == executed(reference.market)
    assert job.market.balances == reference.market.balances
    assert job.state.review == reference.state.review
    last, expected = (json.loads(encode(ended.events[-1])) for ended in (job, reference))
    for name in ("status", "platform"):
        assert last[name] == expected[name]
    assert _comparable(job, last["details"]) == _comparable(reference, expected["details"])


def _comparable(job, document):
    """Return a result or an event's details, without what may differ.

    That is the number of an order in its signature, and if several were in flight, the order of the steps.
    """
    document = json.loads(re.sub(r"signature \d+ of", "signature of", json.dumps(document)))
    if job.parallelism == 1:
        return document
    lists = [name for name in ("steps", "transactionSignatures") if name in document]
    unordered = {name: sorted(document[name], key=str) for name in lists}
    return document | unordered | {"lastStep": None}


FAULTS = {
    "plain": {},
    "failing": {"failing": ("wallet-2:transfer", "wallet-3:buy")},
    "refused": {"refused": ("wallet-1:buy",)},
    "lost": {"lost": ("wallet-1", "wallet-3")},
    "silent": {"silent": ("wallet-2",)},
    "expiring": {"expiring": {"wallet-1:": 1, "wallet-3:buy": 99}},
    "one by one": {"one_by_one": True, "patience_s": 600, "failing": ("wallet-2:transfer",)},
}


def _uninterrupted(variant, faults):
    job, interruption = RecordedJob(variant, **FAULTS[faults]), Interruption()
    job.run(interruption)
    return job, interruption.calls


REFERENCES = {(variant, faults): _uninterrupted(variant, faults) for variant in VARIANTS for faults in FAULTS}
PLAIN = REFERENCES[PREFUNDED, "plain"][0]


def places(variant, faults):
    """Return each place of an uninterrupted run as a case: its name, and ``(at, after)``."""
    return [
        (f"{variant}, {faults}, {'after' if after else 'before'} call {at} ({call})", (at, after))
        for at, call in enumerate(REFERENCES[variant, faults][1], 1)
        for after in (False, True)
    ]


def position(call, nth=1, variant=PREFUNDED):
    """Return the number of the nth call of this name in an uninterrupted run."""
    calls = REFERENCES[variant, "plain"][1]
    return [number for number, name in enumerate(calls, 1) if name == call][nth - 1]
