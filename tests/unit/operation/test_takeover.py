"""Taking a job over, on the twins: wherever a run is lost, the next one goes on where the log ends."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as StoreConnectionError

from cto_worker.domain.events import JobStatus, Mode, Status, encode
from cto_worker.domain.intents import IntentStatus, decode_log
from cto_worker.domain.money import to_sol
from cto_worker.domain.request import parse_request
from cto_worker.errors import OperationFailed
from cto_worker.jobs.lease_keeper import LeaseKeeper
from cto_worker.jobs.runner import Runner
from cto_worker.jobs.sweeper import Sweeper
from cto_worker.operation.cancellation import cancel
from cto_worker.operation.reporter import accepted_event
from cto_worker.testing.in_memory_journal import MemoryJournal
from cto_worker.testing.in_memory_market import BALANCE_LAMPORTS, FUNDING, MemoryMarket

JOB = "j1"
BODY = {
    "tokenAddress": "So11111111111111111111111111111111111111112",
    "userId": "7",
    "userChatId": 42,
    "mode": "prefunded",
    "buyAmount": 0.9,
    "walletCount": 3,
}
# What a run does to the world outside, and so may die before or after.
DEEDS = {
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


class Died(BaseException):
    """Like SIGKILL: nothing of the run comes after it."""


def die():
    raise Died


@dataclass
class Fate:
    """Counts a run's deeds, and strikes at one of them, before or after it is done."""

    at: int = 0  # 0: never
    after: bool = False
    strike: object = die
    deeds: list[str] = field(default_factory=list)

    def meet(self, name, do, *args, **options):
        self.deeds.append(name)
        here = len(self.deeds) == self.at
        if here and not self.after:
            self.strike()
        try:
            return do(*args, **options)
        finally:
            if here and self.after:
                self.strike()


class Mortal:
    """Journal or market, as a run sees it that has a fate."""

    def __init__(self, inner, fate):
        self._inner, self._fate = inner, fate

    def __getattr__(self, name):
        found = getattr(self._inner, name)
        if name not in DEEDS:
            return found
        return lambda *args, **options: self._fate.meet(name, found, *args, **options)


@dataclass
class Chain(MemoryMarket):
    """As on a real chain, no two orders that it prepares are the same bytes: both would execute."""

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
    """A recorded job, and all there is outside of its runs."""

    def __init__(self, mode=Mode.PREFUNDED, **market):
        self.market = Chain(**market)
        self.journal = MemoryJournal()
        self.body = BODY | {"mode": mode.value}
        request = parse_request(self.body)
        self.journal.create(accepted_event(JOB, request), request.to_document())

    def run(self, fate=None, **runner):
        """One run, to its end or to its fate. Returns what the worker got."""
        fate = fate or Fate()
        try:
            return Runner(Mortal(self.journal, fate), Mortal(self.market, fate), **runner).run_job(
                JOB, self.body
            )
        except OperationFailed as failure:
            return failure.result
        except Died:
            return None

    def let_the_lease_run_out(self):
        self.journal.now_ms += self.journal.lease_ms + 1

    def take_over(self, fate=None):
        self.let_the_lease_run_out()
        return self.run(fate)

    @property
    def job(self):
        return self.journal.jobs[JOB]

    @property
    def told(self):
        return self.job.events

    @property
    def records(self):
        log = decode_log(self.job.log)
        return dict(log.records) if log else {}

    @property
    def result(self):
        """The operation's result as a client reads it, but for what time changes."""
        metadata = self.journal.metadata[JOB]
        assert metadata["status"] in {"SUCCESS", "FAILURE"}
        result = metadata["result"]
        return (result if metadata["status"] == "SUCCESS" else result["exc_message"][2]) | {"durationMs": 0}


def undisturbed(mode, **market):
    world, fate = World(mode, **market), Fate()
    world.run(fate)
    return world, fate.deeds


def one_true_story(world):
    """What holds of an ended job, whatever its runs went through."""
    events = world.told
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.status.terminal for event in events] == [False] * (len(events) - 1) + [True]
    for name in ("attempt", "phase", "progress"):
        values = [getattr(event, name) for event in events]
        assert values == sorted(values), f"{name} falls"
    spent = [event.details.total_spent for event in events[1:]]
    assert spent == sorted(spent)
    assert world.journal.published == [encode(event) for event in events]
    steps = [event.details.last_step for event in events if event.details.last_step]
    assert steps == world.result["steps"], "each step is told once, in order"
    for intent_id, payloads in world.market.sent.items():
        assert len(set(payloads)) == 1, f"{intent_id} was sent as two different orders"
        assert world.records[intent_id].order.payload == payloads[0], "what was sent is on record"
    assert not [intent_id for intent_id, record in world.records.items() if record.unsettled]
    assert world.journal.due() == []


def as_if_undisturbed(world, other):
    one_true_story(world)
    assert world.result == other.result
    assert world.market.executed == other.market.executed
    assert world.market.balances == other.market.balances
    assert world.job.review == other.job.review
    last, others = world.told[-1], other.told[-1]
    assert (last.status, last.details, last.platform) == (others.status, others.details, others.platform)


FAULTS = {
    "plain": {},
    "failing": {"failing": ("wallet-2:transfer", "wallet-3:buy")},
    "refused": {"refused": ("wallet-1:buy",)},
    "lost": {"lost": ("wallet-1", "wallet-3")},
    "silent": {"silent": ("wallet-2",)},
}
QUIET = {(mode, name): undisturbed(mode, **faults) for mode in Mode for name, faults in FAULTS.items()}
EVERY_PLACE = [
    pytest.param(mode, faults, at, after, id=f"{mode}-{faults}-{'after' if after else 'before'} {at} {deed}")
    for (mode, faults), (_, deeds) in QUIET.items()
    for at, deed in enumerate(deeds, 1)
    for after in (False, True)
]
EVERY_PLAIN_PLACE = [case for case in EVERY_PLACE if case.values[1] == "plain"]


def test_the_places_are_all_there():
    _, deeds = QUIET[Mode.PREFUNDED, "plain"]
    step = ["append", "prepare", "intend", "submit", "outcome"]
    assert deeds == ["claim", "append", "account", "detect", "append", *step * 3, "append"]


@pytest.mark.parametrize(("mode", "faults", "at", "after"), EVERY_PLACE)
def test_wherever_a_run_dies_the_next_one_ends_the_job_as_if_nothing_had_been(mode, faults, at, after):
    other, deeds = QUIET[mode, faults]
    world = World(mode, **FAULTS[faults])
    world.run(Fate(at, after))
    ended = (at, after) == (len(deeds), True)
    assert world.job.status.ended == ended
    claims = world.job.attempt
    world.take_over()
    as_if_undisturbed(world, other)
    assert world.told[-1].attempt == claims + (not ended)


@pytest.mark.parametrize(("mode", "faults", "at", "after"), EVERY_PLACE)
def test_wherever_a_run_falls_asleep_it_changes_nothing_once_its_job_is_anothers(mode, faults, at, after):
    world = World(mode, **FAULTS[faults])
    seen = []

    def meanwhile():
        world.take_over()
        seen.extend([list(world.told), dict(world.job.log), dict(world.market.executed)])

    world.run(Fate(at, after, meanwhile))
    assert seen == [world.told, world.job.log, world.market.executed]
    as_if_undisturbed(world, QUIET[mode, faults][0])


@pytest.mark.parametrize(("mode", "faults", "at", "after"), EVERY_PLAIN_PLACE)
def test_wherever_a_run_falls_asleep_it_writes_nothing_into_a_story_that_goes_on(mode, faults, at, after):
    world, seen = World(mode, **FAULTS[faults]), []

    def meanwhile():
        world.take_over(Fate(at=2, after=True))
        seen.extend([list(world.told), dict(world.job.log)])

    fate = Fate(at, after, meanwhile)
    assert world.run(fate) is None or world.job.status.ended
    writes = [deed for deed in fate.deeds[at:] if deed in {"append", "intend", "submitted"}]
    assert len(writes) <= 1, "the first refusal stops it"
    assert seen == [world.told, world.job.log]
    world.take_over()
    as_if_undisturbed(world, QUIET[mode, faults][0])


@pytest.mark.parametrize(
    ("mode", "faults", "at", "after"),
    [
        case
        for case in EVERY_PLAIN_PLACE
        if QUIET[case.values[:2]][1][case.values[2] - 1] in {"append", "intend", "submitted"}
    ],
)
def test_wherever_the_store_fails_the_run_stops_and_another_goes_on(mode, faults, at, after):
    def fail():
        raise StoreConnectionError("away")

    world = World(mode)
    fate = Fate(at, after, fail)
    assert world.run(fate) is None
    assert len(fate.deeds) == at
    world.take_over()
    as_if_undisturbed(world, QUIET[mode, faults][0])


@given(
    mode=st.sampled_from(list(Mode)),
    faults=st.sampled_from(list(FAULTS)),
    fates=st.lists(st.tuples(st.integers(1, 44), st.booleans(), st.booleans()), min_size=2, max_size=4),
)
def test_run_after_run_may_die_or_fall_asleep(mode, faults, fates):
    world, left = World(mode, **FAULTS[faults]), iter(fates)

    def next_run():
        at, after, asleep = next(left, (0, False, False))
        world.run(Fate(at, after, meanwhile if asleep else die))

    def meanwhile():
        world.let_the_lease_run_out()
        next_run()

    next_run()
    while not world.job.status.ended:
        meanwhile()
    as_if_undisturbed(world, QUIET[mode, faults][0])


def at(name, nth=1, mode=Mode.PREFUNDED):
    """The number of the nth deed of this name in an undisturbed run."""
    deeds = QUIET[mode, "plain"][1]
    return [number for number, deed in enumerate(deeds, 1) if deed == name][nth - 1]


def test_an_order_that_the_market_knows_is_not_sent_again():
    world = World()
    world.run(Fate(at("submit"), after=True))
    world.take_over()
    assert [len(payloads) for payloads in world.market.sent.values()] == [1, 1, 1]


def test_an_order_that_the_market_does_not_know_is_sent_as_it_was_recorded():
    world = World()
    world.run(Fate(at("intend"), after=True))
    ((intent_id, record),) = world.records.items()
    assert record.status is IntentStatus.INTENDED
    assert world.market.sent == {}
    world.take_over()
    assert world.market.sent[intent_id] == [record.order.payload]


def test_an_order_of_which_nothing_was_recorded_is_prepared_anew():
    world = World()
    world.run(Fate(at("intend")))
    world.take_over()
    assert world.market.sent[f"{JOB}:wallet-1:buy.1"] == [f"{JOB}:wallet-1:buy.1#2".encode()]


def test_a_market_that_cannot_be_asked_is_sent_the_same_bytes_once_more():
    world = World()
    world.run(Fate(at("submit"), after=True))
    (payload,) = world.market.sent[f"{JOB}:wallet-1:buy.1"]
    world.market.broken = ("outcome",)
    world.take_over()
    assert world.market.sent[f"{JOB}:wallet-1:buy.1"] == [payload, payload]
    assert world.result["unknownBuys"] == 3


def test_what_is_asked_about_is_told():
    world = World()
    world.run(Fate(at("submit", 2), after=True))
    events = len(world.told)
    world.take_over()
    first = world.told[events]
    assert first.details.current_operation == "Checking the outcome of: Buying with wallet 2 of 3"
    assert (first.attempt, first.phase, first.details.successful_buys) == (2, 4, 1)


def test_a_run_that_planned_nothing_leaves_the_next_to_begin_again_without_a_step_back():
    world = World()
    world.run(Fate(at("account")))
    world.take_over(Fate(at("append", 3)))
    world.take_over()
    assert [(event.attempt, event.phase, event.progress) for event in world.told[:7]] == [
        (0, 1, 10),
        (1, 2, 25),
        (2, 2, 25),
        (2, 3, 45),
        (3, 3, 45),
        (3, 3, 45),
        (3, 4, 70),
    ]


def test_before_its_lease_has_run_out_a_job_cannot_be_taken_over():
    world = World()
    world.run(Fate(at("submit")))
    world.journal.now_ms += world.journal.lease_ms - 1
    fate = Fate()
    assert world.run(fate) is None
    assert fate.deeds == ["claim"]


def test_a_sweep_brings_the_message_that_has_the_job_taken_over():
    world = World()
    world.run(Fate(at("submit", 2)))
    sent = []
    sweeper = Sweeper(world.journal, world.journal.lease_ms, lambda *message: sent.append(message))
    assert sweeper.sweep() == 0
    world.let_the_lease_run_out()
    assert sweeper.sweep() == 1
    assert sent == [(JOB, world.body, True)]
    world.run()
    as_if_undisturbed(world, QUIET[Mode.PREFUNDED, "plain"][0])


@pytest.mark.parametrize("mode", Mode)
def test_the_plan_of_the_first_run_is_kept_though_balances_have_changed(mode):
    """Whoever plans again would see poor wallets in another order, and a market that answers nothing."""
    world = World(mode)
    world.run(Fate(at("outcome", mode=mode), after=True))
    rich = world.market.balances
    world.market.balances = dict.fromkeys(["wallet-9", *reversed(rich)], 1)
    world.market.broken = ("account", "detect")
    world.take_over()
    one_true_story(world)
    other, _ = QUIET[mode, "plain"]
    assert world.result == other.result
    assert world.market.executed == other.market.executed
    assert world.told[-1].platform == "pumpfun"


def test_what_an_earlier_run_spent_is_counted_and_not_only_told():
    world = World(Mode.STANDARD, failing=("wallet-2:transfer",))
    world.run(Fate(at("submit", 5, Mode.STANDARD)))
    world.take_over()
    before = BALANCE_LAMPORTS * 4
    assert world.result["totalSpent"] == to_sol(before - sum(world.market.balances.values()))
    assert (world.result["successfulBuys"], world.result["failedBuys"]) == (2, 1)


# A store that cannot promise to keep what it is told


def lose_durability(world):
    world.journal.durable = False


def test_a_claim_that_is_not_on_disk_begins_nothing_until_it_is():
    world, stopping = World(), threading.Event()
    lose_durability(world)

    def mend(_):
        world.journal.durable = True

    stopping.wait = mend
    world.run(stopping=stopping)
    as_if_undisturbed(world, QUIET[Mode.PREFUNDED, "plain"][0])
    assert world.told[-1].attempt == 1, "waiting for the disk is no takeover"


def test_an_intent_that_is_not_on_disk_is_sent_neither_by_this_run_nor_by_the_next():
    """The record is there all the same, so the next run finds an order, as if it might have been sent."""
    world = World()
    assert world.run(Fate(at("intend"), strike=lambda: lose_durability(world))) is None
    assert len(world.records) == 1
    world.journal.durable = True
    asked = Fate(at=3, after=True, strike=lambda: lose_durability(world))
    world.take_over(asked)
    assert asked.deeds == ["claim", "append", "outcome", "intend"]
    assert world.market.sent == {}
    world.journal.durable = True
    world.take_over()
    as_if_undisturbed(world, QUIET[Mode.PREFUNDED, "plain"][0])


# A market that does not answer


@pytest.mark.parametrize("method", ["account", "detect", "prepare", "outcome"])
def test_a_market_that_is_away_for_a_while_is_waited_for(method):
    world = World(patience_s=600)
    world.market.broken = (method,)

    def mend(_):
        world.market.broken = ()

    stopping = threading.Event()
    stopping.wait = mend
    world.run(stopping=stopping)
    as_if_undisturbed(world, QUIET[Mode.PREFUNDED, "plain"][0])


@pytest.mark.parametrize("method", ["account", "detect", "prepare"])
def test_a_worker_that_stops_does_not_wait_for_a_market_that_is_away(method):
    world, stopping, sent = World(patience_s=600), threading.Event(), []
    world.market.broken = (method,)
    fate = Fate(at(method), after=True, strike=stopping.set)
    assert world.run(fate, send=lambda *message: sent.append(message), stopping=stopping) is None
    assert len(sent) == 1
    world.market.broken = ()
    world.run()
    as_if_undisturbed(world, QUIET[Mode.PREFUNDED, "plain"][0])


# Cancelling


@pytest.mark.parametrize(("mode", "faults", "at", "after"), EVERY_PLAIN_PLACE[:-1])
def test_a_job_cancelled_between_two_runs_counts_the_open_intent_and_begins_nothing(mode, faults, at, after):
    other, deeds = QUIET[mode, faults]
    world = World(mode)
    world.run(Fate(at, after))
    if world.job.status.ended:
        assert (at, after) == (len(deeds), True)
        return
    world.journal.request_cancel(JOB)
    intended = set(world.records)
    world.take_over()
    one_true_story(world)
    assert set(world.market.executed) == set(world.records) == intended
    assert len(world.result["transactionSignatures"]) == len(intended)
    assert world.result["successfulBuys"] == len([intent for intent in intended if ":buy" in intent])
    assert world.result["unknownBuys"] == 0
    if intended == set(other.records):
        assert world.result["success"], "the last step was begun: too late"
    else:
        assert world.result["errorCode"] == "cancelled"


def test_a_cancellation_that_comes_just_before_an_intent_keeps_it_from_being_recorded_and_sent():
    world = World()
    world.journal.before_intent = lambda _: world.journal.request_cancel(JOB)
    assert world.run()["errorCode"] == "cancelled"
    assert (world.market.sent, world.records) == ({}, {})
    one_true_story(world)


def test_a_job_that_was_claimed_once_is_ended_by_its_next_run_and_not_by_who_cancels_it():
    world = World()
    world.run(Fate(at("claim"), after=True))
    assert cancel(world.journal, JOB, world.told[-1]) is JobStatus.WAITING
    assert len(world.told) == 1
    world.take_over()
    assert world.result["errorCode"] == "cancelled"


# Handing over


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("last", [2, 3, 4, 5, 6, 7, 8, 9])
def test_a_worker_that_stops_hands_its_job_over_at_the_next_step(mode, last):
    other, _ = QUIET[mode, "plain"]
    world, stopping, sent = World(mode), threading.Event(), []
    world.journal.before_append = lambda event: stopping.set() if event.seq == last else None
    result = world.run(send=lambda *message: sent.append(message), stopping=stopping)
    if last >= len(other.told) - 1:
        assert result["success"], "there is no step any more that could be left to others"
        assert sent == []
        return
    assert result is None
    assert sent == [(JOB, world.body, True)]
    assert world.told[-1].seq == last
    assert len(world.market.sent) == max(0, last - 4)
    world.journal.before_append = lambda _: None
    world.run()
    as_if_undisturbed(world, other)
    assert world.told[-1].attempt == 2
    assert [len(payloads) for payloads in world.market.sent.values()] == [1] * len(other.market.sent)


def test_a_worker_that_stops_does_not_wait_for_an_outcome():
    world, stopping, sent = World(silent=("wallet-2:buy",), patience_s=600), threading.Event(), []
    fate = Fate(at("submit", 2), after=True, strike=stopping.set)
    assert world.run(fate, send=lambda *message: sent.append(message), stopping=stopping) is None
    assert fate.deeds[-3:] == ["submit", "outcome", "release"]
    assert len(sent) == 1
    world.market.silent = ()
    world.run()
    as_if_undisturbed(world, QUIET[Mode.PREFUNDED, "plain"][0])
    assert [len(payloads) for payloads in world.market.sent.values()] == [1, 1, 1]


def test_handing_over_again_and_again_is_no_stall():
    world, stopping = World(), threading.Event()
    world.run(Fate(at("submit"), after=True))
    stopping.set()
    world.market.patience_s, world.market.silent = 600, ("buy",)
    world.let_the_lease_run_out()
    for _ in range(7):
        assert world.run(stopping=stopping) is None
    assert (world.job.attempt, world.job.stalls) == (8, 1)
    world.market.patience_s, world.market.silent = 0, ()
    world.run()
    as_if_undisturbed(world, QUIET[Mode.PREFUNDED, "plain"][0])


@pytest.mark.parametrize("after", [False, True])
def test_a_run_that_dies_while_it_hands_over_is_taken_over(after):
    world, stopping = World(), threading.Event()
    stopping.set()
    fate = Fate(at=3, after=after)
    world.run(fate, stopping=stopping)
    assert fate.deeds == ["claim", "append", "release"]
    world.take_over()
    as_if_undisturbed(world, QUIET[Mode.PREFUNDED, "plain"][0])


# Stalls, and what an operator must see


def stall(world, times):
    for _ in range(times):
        world.take_over(Fate(1, after=True))


def test_a_job_that_five_runs_got_no_further_with_is_parked_and_the_market_is_left_alone():
    world = World()
    world.run(Fate(at("submit", 2), after=True))
    stall(world, 4)
    fate = Fate()
    result = world.take_over(fate)
    assert fate.deeds == ["claim", "append"]
    one_true_story(world)
    last = world.told[-1]
    assert (last.status, last.attempt, last.phase, last.progress) == (Status.FAILED, 6, 5, 100)
    assert last.details.error_code == result["errorCode"] == "needs_review"
    assert (result["successfulBuys"], result["unknownBuys"]) == (1, 1)
    assert last.details.unknown_buys == 1
    assert [step["status"] for step in result["steps"]] == ["confirmed", "unknown"]
    record = world.records[f"{JOB}:wallet-2:buy.1"]
    assert record.status is IntentStatus.UNKNOWN
    assert record.order.payload == world.market.sent[f"{JOB}:wallet-2:buy.1"][0], "an operator can look it up"
    assert world.job.review


def test_a_job_that_never_got_as_far_as_a_plan_is_parked_too():
    world = World()
    world.run(Fate(at("account")))
    stall(world, 4)
    assert world.take_over()["errorCode"] == "needs_review"
    one_true_story(world)
    assert (world.market.sent, world.records) == ({}, {})
    assert world.job.review


@pytest.mark.parametrize("unreadable", ["request", "log"])
def test_a_job_whose_record_no_run_can_read_is_parked_too(unreadable):
    """As a worker of an older version finds it, that shares the queue with a newer one."""
    world = World()
    world.run(Fate(at("submit", 2), after=True))
    if unreadable == "request":
        world.job.request = b'{"of": "another version"}'
    else:
        world.job.log["of another version"] = b"{}"
    for _ in range(4):
        with pytest.raises(KeyError):
            world.take_over()
    assert world.take_over()["errorCode"] == "needs_review"
    assert world.job.review
    assert [event.seq for event in world.told] == list(range(1, len(world.told) + 1))


def test_one_run_less_is_not_parked():
    world = World()
    world.run(Fate(at("submit", 2), after=True))
    stall(world, 3)
    world.take_over()
    as_if_undisturbed(world, QUIET[Mode.PREFUNDED, "plain"][0])


@pytest.mark.parametrize("further", ["plan", "outcome"])
def test_getting_further_begins_the_count_anew(further):
    world = World()
    world.run(Fate(at("detect" if further == "plan" else "submit"), after=True))
    stall(world, 3)
    assert world.job.stalls == 3
    deeds = ["claim", "append", "account", "detect", "append", "append", "prepare"]
    if further == "outcome":
        deeds = ["claim", "append", "outcome", "append", "prepare"]
    fate = Fate(len(deeds))
    world.take_over(fate)
    assert fate.deeds == deeds
    assert world.job.stalls == 0
    stall(world, 3)
    world.take_over()
    as_if_undisturbed(world, QUIET[Mode.PREFUNDED, "plain"][0])


def test_only_an_unknown_outcome_calls_an_operator():
    for faults in ("plain", "failing", "refused", "lost"):
        assert not QUIET[Mode.STANDARD, faults][0].job.review
    world, _ = QUIET[Mode.PREFUNDED, "silent"]
    assert world.job.review
    assert world.job.status is JobStatus.COMPLETED
    assert world.records[f"{JOB}:wallet-2:buy.1"].status is IntentStatus.UNKNOWN


def test_a_defect_after_a_takeover_tells_the_true_counts(caplog):
    world = World()
    world.run(Fate(at("submit", 2), after=True))

    def defect():
        raise ZeroDivisionError

    world.take_over(Fate(at=3, strike=defect))
    one_true_story(world)
    assert world.result["errorCode"] == "internal_error"
    assert (world.result["successfulBuys"], world.result["unknownBuys"]) == (1, 1)
    assert world.job.review
    assert "ZeroDivisionError" in caplog.text


# Leases


def test_a_run_whose_lease_could_not_be_renewed_stops_before_it_does_anything():
    world = World()
    fate = Fate()
    assert world.run(fate, keeper=LeaseKeeper(world.journal, lease_ms=0)) is None
    assert fate.deeds == ["claim", "append"]
    world.take_over()
    as_if_undisturbed(world, QUIET[Mode.PREFUNDED, "plain"][0])


@pytest.mark.parametrize(("deed", "sent"), [("intend", 1), ("submit", 2)])
def test_a_run_that_hears_of_its_lost_job_sends_nothing_more(deed, sent):
    world = World(silent=("wallet-2:buy",), patience_s=600)
    keeper = LeaseKeeper(world.journal, world.journal.lease_ms)

    def lose():
        world.let_the_lease_run_out()
        world.journal.claim(JOB, "another")
        keeper.renew()

    fate = Fate(at(deed, 2), after=True, strike=lose)
    assert world.run(fate, keeper=keeper) is None
    assert len(world.market.sent) == sent
    assert "release" not in fate.deeds, "it is not this run's to give up"
    world.market.silent, world.market.patience_s = (), 0
    world.take_over()
    as_if_undisturbed(world, QUIET[Mode.PREFUNDED, "plain"][0])


def test_a_run_that_only_waits_for_an_outcome_stops_too_when_its_lease_has_ended():
    world = World(silent=("wallet-2:buy",), patience_s=600)
    keeper = LeaseKeeper(world.journal, world.journal.lease_ms)

    def lose():
        world.let_the_lease_run_out()
        world.journal.claim(JOB, "another")
        keeper.renew()

    fate = Fate(at("outcome", 2), strike=lose)
    assert world.run(fate, keeper=keeper) is None
    assert fate.deeds[-1] == "outcome"
    assert json.loads(world.journal.published[-1])["attempt"] == 1
    assert world.market.balances[FUNDING] == BALANCE_LAMPORTS
