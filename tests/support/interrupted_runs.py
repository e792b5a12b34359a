"""Runs of a job on the twins of journal and market, interrupted before or after any of their calls."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from cto_worker.domain.events import Mode, encode
from cto_worker.domain.intents import decode_log
from cto_worker.domain.request import parse_request
from cto_worker.errors import OperationFailed
from cto_worker.jobs.runner import Runner
from cto_worker.operation.reporter import accepted_event
from cto_worker.testing.in_memory_journal import MemoryJournal
from cto_worker.testing.in_memory_market import MemoryMarket
from support.operations import BODY

JOB = "j1"
# The calls of a run to its journal and market. It may be interrupted before or after each of them.
CALLS = {
    "claim",
    "append",
    "intend",
    "submitted",
    "release",
    "account",
    "detect",
    "prepare",
    "submit",
    "outcome",
}


class Killed(BaseException):
    """Ends a run like SIGKILL: the run executes nothing after it."""


def kill():
    raise Killed


@dataclass
class Interruption:
    """Counts a run's calls, and runs an action before or after one of them."""

    at: int = 0  # 0: never
    after: bool = False
    action: object = kill
    calls: list[str] = field(default_factory=list)

    def call(self, name, do, *args, **options):
        self.calls.append(name)
        here = len(self.calls) == self.at
        if here and not self.after:
            self.action()
        try:
            return do(*args, **options)
        finally:
            if here and self.after:
                self.action()


class Interruptible:
    """A journal or market whose calls can be interrupted."""

    def __init__(self, inner, interruption):
        self._inner, self._interruption = inner, interruption

    def __getattr__(self, name):
        found = getattr(self._inner, name)
        if name not in CALLS:
            return found
        return lambda *args, **options: self._interruption.call(name, found, *args, **options)


@dataclass
class Chain(MemoryMarket):
    """A market that, like a blockchain, never prepares the same bytes twice: both orders would execute."""

    sent: dict[str, list[bytes]] = field(default_factory=dict)  # by intent
    nonce: int = 0

    def prepare(self, intent):
        order = super().prepare(intent)
        self.nonce += 1
        return replace(order, payload=order.payload + b"#%d" % self.nonce)

    def submit(self, order):
        self.sent.setdefault(order.intent_id, []).append(order.payload)
        super().submit(order)


class World:
    """A recorded job, with the journal and the market that its runs use."""

    def __init__(self, mode=Mode.PREFUNDED, **market):
        self.market = Chain(**market)
        self.journal = MemoryJournal()
        self.body = BODY | {"mode": mode.value}
        request = parse_request(self.body)
        self.journal.create(accepted_event(JOB, request), request.to_document())

    def run(self, interruption=None, **runner):
        """Run the job until its end or an interruption. Returns the worker's result."""
        interruption = interruption or Interruption()
        try:
            return Runner(
                Interruptible(self.journal, interruption), Interruptible(self.market, interruption), **runner
            ).run_job(JOB, self.body)
        except OperationFailed as failure:
            return failure.result
        except Killed:
            return None

    def expire_lease(self):
        self.journal.now_ms += self.journal.lease_ms + 1

    def take_over(self, interruption=None):
        self.expire_lease()
        return self.run(interruption)

    @property
    def job(self):
        return self.journal.jobs[JOB]

    @property
    def events(self):
        return self.job.events

    @property
    def records(self):
        log = decode_log(self.job.log)
        return dict(log.records) if log else {}

    @property
    def result(self):
        """The operation's result in Celery's metadata, with a fixed duration."""
        metadata = self.journal.metadata[JOB]
        assert metadata["status"] in {"SUCCESS", "FAILURE"}
        result = metadata["result"]
        return (result if metadata["status"] == "SUCCESS" else result["exc_message"][2]) | {"durationMs": 0}


def uninterrupted(mode, **market):
    world, interruption = World(mode, **market), Interruption()
    world.run(interruption)
    return world, interruption.calls


def check_consistent(world):
    """Check the invariants of an ended job."""
    events = world.events
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.status.terminal for event in events] == [False] * (len(events) - 1) + [True]
    for name in ("attempt", "phase", "progress"):
        values = [getattr(event, name) for event in events]
        assert values == sorted(values), f"{name} falls"
    spent = [event.details.total_spent for event in events[1:]]
    assert spent == sorted(spent)
    assert world.journal.published == [encode(event) for event in events]
    steps = [event.details.last_step for event in events if event.details.last_step]
    assert steps == world.result["steps"], "each step is reported once, in order"
    for intent_id, payloads in world.market.sent.items():
        assert len(set(payloads)) == 1, f"{intent_id} was sent as two different orders"
        assert world.records[intent_id].order.payload == payloads[0], "each submitted order is recorded"
    assert not [intent_id for intent_id, record in world.records.items() if record.unsettled]
    assert world.journal.due() == []


def check_same_as(world, other):
    check_consistent(world)
    assert world.result == other.result
    assert world.market.executed == other.market.executed
    assert world.market.balances == other.market.balances
    assert world.job.review == other.job.review
    last, others = world.events[-1], other.events[-1]
    assert (last.status, last.details, last.platform) == (others.status, others.details, others.platform)


FAULTS = {
    "plain": {},
    "failing": {"failing": ("wallet-2:transfer", "wallet-3:buy")},
    "refused": {"refused": ("wallet-1:buy",)},
    "lost": {"lost": ("wallet-1", "wallet-3")},
    "silent": {"silent": ("wallet-2",)},
}
UNINTERRUPTED = {
    (mode, name): uninterrupted(mode, **faults) for mode in Mode for name, faults in FAULTS.items()
}
EVERY_POINT = [
    pytest.param(mode, faults, at, after, id=f"{mode}-{faults}-{'after' if after else 'before'} {at} {call}")
    for (mode, faults), (_, calls) in UNINTERRUPTED.items()
    for at, call in enumerate(calls, 1)
    for after in (False, True)
]
EVERY_PLAIN_POINT = [case for case in EVERY_POINT if case.values[1] == "plain"]


def at(name, nth=1, mode=Mode.PREFUNDED):
    """Return the position of the nth call of this name in an uninterrupted run."""
    calls = UNINTERRUPTED[mode, "plain"][1]
    return [number for number, call in enumerate(calls, 1) if call == name][nth - 1]
