"""In any order of actions one run at a time writes a job's history, and each order is executed once.

Hypothesis simulates runs that claim jobs and work through them as :mod:`cto_worker.operation.phases` does,
with one or with several orders in flight. Runs lose answers, die between two orders of a batch, pause,
continue after a takeover, and then try to write. All actions run on the real store and on the in-memory
journal, which is the model.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from enum import Enum

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace
from support.samples import FIRST_EVENT

from cto_worker.config import Settings
from cto_worker.domain.buy_plan import Plan, Step
from cto_worker.domain.intent_codec import PLAN, decode_record
from cto_worker.domain.intent_log import IntentRecord, IntentStatus, settled
from cto_worker.domain.journal_ports import Entry
from cto_worker.domain.market_port import Buy, Order, Outcome, OutcomeStatus, Transfer
from cto_worker.domain.progress_event import Details, ProgressEvent, Status, decode
from cto_worker.errors import CtoError, FencedError, JobEndedError
from cto_worker.operation.step_schedule import next_steps
from cto_worker.store import keys
from cto_worker.store.redis_journal import RedisJournal
from cto_worker.testing.in_memory_journal import InMemoryJournal

LEASE_MS = 600_000  # a lease expires only by a rule that moves the time
JOBS = ("j1",)  # with several jobs each would get fewer actions
REFUSED = object()


class Trouble(Enum):
    """A fault that occurs during a run."""

    NONE = 0
    ANSWERS_LOST = 1  # the store has executed each write, and gets it a second time
    CANCELLED_BEFORE_AN_INTENT = 2
    CANCELLED_AFTER_AN_INTENT = 3  # and the answer is lost

    @property
    def loses_answers(self):
        return self in (Trouble.ANSWERS_LOST, Trouble.CANCELLED_AFTER_AN_INTENT)


FIRST = replace(FIRST_EVENT, platform="pumpfun")


WALLETS = ("w1", "w2", "w3")


def plan_of(job_id):
    transfers = [
        Step(Transfer(f"{job_id}:{wallet}:transfer", "7", "funding", wallet, 11), wallet, "Distributing")
        for wallet in WALLETS
    ]
    buys = [
        Step(Buy(f"{job_id}:{wallet}:buy.1", "7", wallet, FIRST.token_address, 10, 500, 1), wallet, "Buying")
        for wallet in WALLETS
    ]
    return Plan([*transfers, *buys], {})


@dataclass(eq=False)
class Run:
    """One run with its own view of the job. It continues until the store refuses a write, or the run dies."""

    job_id: str
    attempt: int
    claimant: str
    parallelism: int  # the maximum number of orders in flight
    latest: ProgressEvent
    planned: bool
    records: dict[str, IntentRecord]
    reported: bool = False  # its first event is written
    reconciled: bool = False  # the orders in flight of earlier runs are queried
    sent: set[str] = field(default_factory=set)  # intents whose orders the market has
    unrecorded: list[Order] = field(default_factory=list)  # sent by this run, and not recorded as submitted
    cancelled: bool = False
    over: bool = False
    released: bool = False

    @property
    def in_flight(self):
        """The orders without an outcome, by intent id."""
        return {name: record.order for name, record in self.records.items() if record.unsettled}

    @property
    def next_batch(self):
        """The intents of the steps that may begin now."""
        steps = plan_of(self.job_id).steps if self.planned else []
        waiting = [step for step in steps if step.intent.intent_id not in self.records]
        in_flight = [step for step in steps if step.intent.intent_id in self.in_flight]
        return [step.intent.intent_id for step in next_steps(waiting, in_flight, self.parallelism)]

    def event(self, **changes):
        changes = {"status": Status.IN_PROGRESS, "progress": self.latest.progress} | changes
        # The text differs between runs, and between an event and the next one.
        details = Details(current_operation=f"{self.claimant} after {self.latest.seq}")
        return replace(self.latest, seq=self.latest.seq + 1, attempt=self.attempt, details=details, **changes)


class LeaseMachine(RuleBasedStateMachine):
    """Compares the answers of the store and the in-memory journal, and checks the invariants."""

    def __init__(self, store):
        super().__init__()
        store.flushall()
        self.store = store
        self.real = RedisJournal(store, Settings(lease_ms=LEASE_MS))
        self.twin = InMemoryJournal(lease_ms=LEASE_MS)
        self.runs: list[Run] = []
        self.numbers = iter(range(1, 10_000))
        self.market: dict[str, list[bytes]] = {}  # by intent: each order that was executed

    @initialize()
    def record_jobs(self):
        for job_id in JOBS:
            self.both(lambda journal, job_id=job_id: journal.create(replace(FIRST, job_id=job_id), {"a": 1}))

    # Calls of both journals

    def both(self, call):
        """Call both journals. Returns their common answer, or the class of their common error."""
        answers = []
        for journal in (self.real, self.twin):
            try:
                answers.append(call(journal))
            except CtoError as error:
                answers.append(type(error))
        real, twin = answers
        assert real == twin, "the store and its twin differ"
        return real

    def state(self, job_id):
        """Everything that the store contains about one job."""
        return (
            self.store.hgetall(keys.job(job_id)),
            self.store.xrange(keys.events(job_id)),
            self.store.hgetall(keys.intents(job_id)),
            self.store.get(keys.meta(job_id)),
            self.store.zscore(keys.DUE, job_id),
            self.store.zscore(keys.WAITING, job_id),
            [(key, self.store.zscore(key, job_id)) for key in sorted(self.store.scan_iter("cto:jobs:*"))],
        )

    def owner(self, job_id):
        """The attempt that owns the job, or ``None`` after the end."""
        attempt, status = self.store.hmget(keys.job(job_id), "attempt", "status")
        return int(attempt) if status in (b"waiting", b"active") else None

    def write(self, run, call):
        """Write for one run. Returns :data:`REFUSED` if the run has lost its job; nothing may change then."""
        if run.attempt == self.owner(run.job_id):
            answer = self.both(call)
            assert not isinstance(answer, type), f"the owner was refused: {answer}"
            return answer
        before = self.state(run.job_id)
        answer = self.both(call)
        assert self.state(run.job_id) == before, "a stale write has changed something"
        assert answer in (FencedError, JobEndedError)
        return REFUSED

    def append(self, run, event, trouble, **recorded):
        """Append an event, twice if the first answer is lost."""
        for _ in range(1 + trouble.loses_answers):
            answer = self.write_or_repeat(run, event, recorded)
        if answer is REFUSED:
            run.over = True
            return
        run.latest, run.reported, run.cancelled = event, True, run.cancelled or answer.cancel
        run.records |= recorded.get("records", {})
        run.over = event.status.terminal

    def write_or_repeat(self, run, event, recorded):
        latest = decode(self.store.xrevrange(keys.events(run.job_id), count=1)[0][1][b"event"])
        entry = Entry(event, result={"x": 1}, **recorded)
        append = lambda journal: journal.append(entry)  # noqa: E731
        if event != latest:
            return self.write(run, append)
        before = self.state(run.job_id)
        answer = self.both(append)
        assert self.state(run.job_id) == before, "a repetition has changed something"
        return answer

    # Rules

    def unfinished_runs(self):
        """Runs that own their job, or have lost it without noticing."""
        return st.sampled_from([run for run in self.runs if not run.over])

    def unreleased_runs(self):
        """Includes dead runs, because their last writes may still be in flight."""
        return st.sampled_from([run for run in self.runs if not run.released])

    def any_unreleased(self):
        return any(not run.released for run in self.runs)

    def lost(self):
        """Runs whose job another run has claimed, or has ended."""
        owners = {job_id: self.owner(job_id) for job_id in JOBS}
        return [run for run in self.runs if run.attempt != owners[run.job_id]]

    def any_unfinished(self):
        return any(not run.over for run in self.runs)

    @rule(
        job_id=st.sampled_from(JOBS),
        trouble=st.sampled_from(Trouble),
        steps=st.integers(0, 20),
        parallelism=st.sampled_from([1, 10]),
        chance=st.randoms(),
    )
    def claim(self, job_id, trouble, steps, parallelism, chance):
        """Claim a new job, or take over a job; both are the same call."""
        claimant = f"run {next(self.numbers)}"
        owner, free = self.owner(job_id), self.twin.jobs[job_id].lease_ms <= self.twin.now_ms
        for _ in range(1 + trouble.loses_answers):
            claim = self.both(lambda journal: self.timeless(journal.claim(job_id, claimant)))
        assert (claim is not None) == (owner is not None and (owner == 0 or free))
        if claim:
            assert claim.attempt == owner + 1
            records = dict(claim.intent_log.records) if claim.intent_log else {}
            planned = claim.intent_log is not None
            self.runs.append(
                Run(job_id, claim.attempt, claimant, parallelism, claim.latest, planned, records)
            )
            self.continue_run(self.runs[-1], steps, trouble, chance)

    @rule(
        job_id=st.sampled_from(JOBS),
        trouble=st.sampled_from(Trouble),
        steps=st.integers(0, 20),
        late=st.integers(0, 3),
        parallelism=st.sampled_from([1, 10]),
        chance=st.randoms(),
    )
    def take_over(self, job_id, trouble, steps, late, parallelism, chance):
        """Earlier runs have died or paused. Paused runs then try some more steps."""
        paused = [run for run in self.runs if not run.over]
        self.let_pass(LEASE_MS + 1_000)
        self.claim(job_id, trouble, steps, parallelism, chance)
        for run in paused:
            self.continue_run(run, late, trouble, chance)

    @staticmethod
    def timeless(claim):
        return claim and dataclasses.replace(claim, elapsed_ms=0)

    @precondition(any_unfinished)
    @rule(
        data=st.data(),
        trouble=st.sampled_from(Trouble),
        steps=st.integers(1, 12),
        chance=st.randoms(),
    )
    def resume(self, data, trouble, steps, chance):
        """A run continues, whether it still owns the job or not."""
        self.continue_run(data.draw(self.unfinished_runs()), steps, trouble, chance)

    def continue_run(self, run, steps, trouble, chance):
        for _ in range(steps):
            if not run.over:
                self.do_next_step(run, trouble, chance)

    def do_next_step(self, run, trouble, chance):
        unsent = [order for intent_id, order in run.in_flight.items() if intent_id not in run.sent]
        if not run.reported:
            self.append(run, run.event(phase=max(2, run.latest.phase)), trouble)
        elif not run.reconciled:
            self.reconcile(run, trouble)
        elif unsent:
            self.send(run, unsent[0])
        elif run.unrecorded:
            self.record_submission(run)
        elif run.next_batch and not run.cancelled and chance.random() < 0.5:
            self.intend(run, run.next_batch, trouble)
        elif run.in_flight:
            self.settle(
                run, chance.sample(sorted(run.in_flight), chance.randint(1, len(run.in_flight))), trouble
            )
        elif run.cancelled:
            self.append(run, run.event(phase=5, progress=100, status=Status.FAILED), trouble)
        elif not run.planned:
            self.append(run, run.event(phase=4, progress=70), trouble, plan=plan_of(run.job_id))
            run.planned = True
        elif run.next_batch:
            self.intend(run, run.next_batch, trouble)
        else:
            self.append(run, run.event(phase=5, progress=100, status=Status.COMPLETED), trouble)

    def reconcile(self, run, trouble):
        """Query the orders that earlier runs left in flight, and record those again that the market lacks."""
        run.reconciled = True
        run.sent = {intent_id for intent_id in run.in_flight if intent_id in self.market}
        if lost := [order for intent_id, order in run.in_flight.items() if intent_id not in run.sent]:
            self.record_intents(run, lost, trouble, heed_cancel=False)

    def intend(self, run, intent_ids, trouble):
        orders = [
            Order(intent_id, f"signature {intent_id}", b"#%d" % next(self.numbers))
            for intent_id in intent_ids
        ]
        if self.record_intents(run, orders, trouble, heed_cancel=True):
            run.records |= {order.intent_id: IntentRecord(IntentStatus.INTENDED, order) for order in orders}
        else:
            run.cancelled = True

    def record_intents(self, run, orders, trouble, *, heed_cancel):
        """Record the orders, in one step. Returns whether they may be sent."""
        intend = lambda journal: journal.intend(  # noqa: E731
            run.job_id, run.attempt, orders, heed_cancel=heed_cancel
        )
        if trouble is Trouble.CANCELLED_BEFORE_AN_INTENT:
            self.cancel(run.job_id)
        recorded = self.write(run, intend)
        if trouble is Trouble.CANCELLED_AFTER_AN_INTENT:
            self.cancel(run.job_id)
        if trouble.loses_answers:
            assert self.write(run, intend) == recorded, "the repetition has another answer"
        assert recorded or heed_cancel
        run.over = recorded is REFUSED
        return recorded is not REFUSED and recorded

    def execute(self, order):
        """The market executes the same bytes once. Different bytes are a different order."""
        if order.intent_id.endswith("buy.1"):
            assert order.intent_id.replace("buy.1", "transfer") in self.market, "a buy before its transfer"
        executed = self.market.setdefault(order.intent_id, [])
        if order.payload not in executed:
            executed.append(order.payload)

    def send(self, run, order):
        """The market executes one order of a batch. The run may die before the next one."""
        self.execute(order)
        run.sent.add(order.intent_id)
        run.unrecorded.append(order)

    def record_submission(self, run):
        orders, run.unrecorded = run.unrecorded, []
        submitted = lambda journal: journal.record_submission(run.job_id, run.attempt, orders)  # noqa: E731
        run.over = self.write(run, submitted) is REFUSED

    def settle(self, run, intent_ids, trouble):
        """Record the outcomes of some orders in flight, in any order, each with its own event."""
        ended = len(run.records) - len(run.in_flight)
        records = {
            intent_id: settled(order := run.in_flight[intent_id], self.outcome(order), place)
            for place, intent_id in enumerate(intent_ids, ended + 1)
        }
        events = []
        for place in range(len(intent_ids)):
            progress = min(99, run.latest.progress + 4 * (place + 1))
            event = run.event(progress=progress, phase=4)
            events.append(replace(event, seq=event.seq + place))
        self.append(run, events[-1], trouble, records=records, earlier=events[:-1])

    @staticmethod
    def outcome(order):
        return Outcome(OutcomeStatus.CONFIRMED, order.signature, 5)

    @precondition(any_unfinished)
    @rule(data=st.data())
    def crash_at_the_market(self, data):
        """Some orders of a batch are sent, and the run dies before it records any submission."""
        run = data.draw(self.unfinished_runs())
        unsent = [order for intent_id, order in run.in_flight.items() if intent_id not in run.sent]
        for order in unsent[: data.draw(st.integers(0, len(unsent)))]:
            self.execute(order)
        run.over = True

    @rule(
        ms=st.sampled_from(
            [keys.RESUME_CHECK_DELAY_MS + 1_000, keys.NEW_MESSAGE_CHECK_DELAY_MS + 1_000, LEASE_MS + 1_000]
        )
    )
    def let_pass(self, ms):
        self.twin.now_ms += ms
        for job_id in JOBS:
            for due in (keys.DUE, keys.WAITING):
                if self.store.zscore(due, job_id) is not None:
                    self.store.zincrby(due, -ms, job_id)
            for name in ("lease", "sent"):
                if self.store.hexists(keys.job(job_id), name):
                    self.store.hincrby(keys.job(job_id), name, -ms)

    @precondition(any_unreleased)
    @rule(data=st.data())
    def renew(self, data):
        run = data.draw(self.unreleased_runs())
        mine = run.attempt == self.owner(run.job_id)
        before = self.state(run.job_id)
        assert self.both(lambda journal: journal.renew({run.job_id: run.attempt})) == {run.job_id: mine}
        assert mine or self.state(run.job_id) == before

    @precondition(any_unreleased)
    @rule(data=st.data())
    def release(self, data):
        run = data.draw(self.unreleased_runs())
        mine = run.attempt == self.owner(run.job_id)
        before = self.state(run.job_id)
        request = self.both(lambda journal: journal.release(run.job_id, run.attempt))
        assert request == (b'{"a":1}' if mine else None)
        assert mine or self.state(run.job_id) == before
        run.over = run.released = True

    @rule(job_id=st.sampled_from(JOBS))
    def cancel(self, job_id):
        self.both(lambda journal: journal.request_cancel(job_id))

    @rule()
    def sweep(self):
        self.both(lambda journal: journal.find_orphans())
        real_ms, twin_ms = self.real.ms_until_due(), self.twin.ms_until_due()
        assert (real_ms is None) == (twin_ms is None)
        assert real_ms is None or twin_ms - 60_000 <= real_ms <= twin_ms, "the store's clock also runs"

    @rule(others=st.booleans())
    def fill_or_empty_the_queue_of_resumed_jobs(self, others):
        self.twin.resumed_queued = others
        self.store.delete(keys.RESUMED_QUEUE)
        if others:
            self.store.lpush(keys.RESUMED_QUEUE, "another job's message")

    @precondition(lost)
    @rule(data=st.data(), what=st.sampled_from(["event", "end", "records", "intend", "submitted"]))
    def write_without_ownership(self, data, what):
        """A run that has lost its job tries any write."""
        run = data.draw(st.sampled_from(self.lost()))
        latest = decode(self.store.xrevrange(keys.events(run.job_id), count=1)[0][1][b"event"])
        event = replace(
            latest, seq=latest.seq + 1, attempt=run.attempt, status=Status.IN_PROGRESS, progress=100
        )
        orders = [Order(step.intent.intent_id, "stale", b"stale") for step in plan_of(run.job_id).steps[:2]]
        order, intent_id = orders[0], orders[0].intent_id
        record = settled(order, Outcome(OutcomeStatus.UNKNOWN, "stale"))
        writes = {
            "event": lambda journal: journal.append(Entry(event)),
            "end": lambda journal: journal.append(Entry(replace(event, status=Status.FAILED), review=True)),
            "records": lambda journal: journal.append(Entry(event, records={intent_id: record})),
            "intend": lambda journal: journal.intend(run.job_id, run.attempt, orders),
            "submitted": lambda journal: journal.record_submission(run.job_id, run.attempt, orders),
        }
        assert self.write(run, writes[what]) is REFUSED

    # Invariants

    @invariant()
    def the_history_is_consistent(self):
        for job_id in JOBS:
            entries = self.store.xrange(keys.events(job_id))
            events = [decode(entry[b"event"]) for _, entry in entries]
            assert [name for name, _ in entries] == [b"%d-0" % number for number in range(1, len(events) + 1)]
            assert [event.seq for event in events] == list(range(1, len(events) + 1))
            for name in ("attempt", "phase", "progress"):
                values = [getattr(event, name) for event in events]
                assert values == sorted(values), f"{name} falls"
            ended = [event.seq for event in events if event.status.terminal]
            assert ended in ([], [len(events)]), "an event follows the end"
            assert events == self.twin.jobs[job_id].events

    @invariant()
    def nothing_is_executed_twice_or_without_a_record(self):
        for intent_id, payloads in self.market.items():
            assert len(payloads) == 1, f"{intent_id} was executed as two orders"
            record = decode_record(intent_id, self.store.hget(keys.intents(intent_id[:2]), intent_id))
            assert record.order.payload == payloads[0]

    @invariant()
    def the_log_says_in_which_order_the_steps_ended_and_an_ended_job_has_none_in_flight(self):
        for job_id in JOBS:
            log = self.twin.jobs[job_id].log
            records = [decode_record(name, text) for name, text in log.items() if name != PLAN]
            places = sorted(record.place for record in records if not record.unsettled)
            assert places == list(range(1, len(places) + 1))
            assert self.owner(job_id) is not None or len(places) == len(records)

    @invariant()
    def the_store_and_the_twin_hold_the_same(self):
        for job_id in JOBS:
            mine = self.twin.jobs[job_id]
            names = ("status", "attempt", "claimant", "stalls", "released", "cancel")
            status, attempt, claimant, *numbers = self.store.hmget(keys.job(job_id), names)
            assert (status.decode(), int(attempt)) == (mine.status, mine.attempt)
            assert (claimant or b"").decode() == mine.claimant
            assert [int(number or 0) for number in numbers] == [mine.stalls, mine.released, mine.cancel]
            log = {name.decode(): text for name, text in self.store.hgetall(keys.intents(job_id)).items()}
            assert log == mine.log
            assert not log or PLAN in log

    @invariant()
    def unfinished_jobs_are_due_as_begun_or_as_waiting(self):
        for job_id in JOBS:
            due = [self.store.zscore(key, job_id) is not None for key in (keys.DUE, keys.WAITING)]
            owner = self.owner(job_id)
            assert due == [bool(owner), owner == 0]


@pytest.fixture
def durable(store):
    """The store with ``appendfsync always``, as :mod:`cto_worker.store.embedded` runs it."""
    store.config_set("appendfsync", "always")
    yield store
    store.config_set("appendfsync", "everysec")


def test_one_run_at_a_time_writes_and_money_moves_once(durable):
    run_state_machine_as_test(
        lambda: LeaseMachine(durable),
        settings=settings(
            max_examples=200,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
