"""The lease keeper and the sweeper."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
from kombu.exceptions import OperationalError
from msgspec.structs import replace
from redis.exceptions import ConnectionError as StoreConnectionError
from support.samples import FIRST_EVENT as FIRST
from support.waiting import wait_until

from cto_worker.domain.progress_event import JobStatus
from cto_worker.errors import LeaseLostError
from cto_worker.jobs.lease_keeper import MARGIN, RENEWALS_PER_LEASE, LeaseKeeper
from cto_worker.jobs.orphan_sweeper import SWEEPS_PER_LEASE, OrphanSweeper
from cto_worker.operation.run_guard import Lease
from cto_worker.store import keys
from cto_worker.testing.in_memory_journal import InMemoryJournal

HOUR_MS = 3_600_000  # a lease that expires only when a test moves the clock
HOUR_S = 3_600 * (1 - MARGIN)  # how long a run may use it


class Faulty(InMemoryJournal):
    """A journal that raises the given errors."""

    def __init__(self):
        super().__init__(lease_ms=HOUR_MS)
        self.errors = []  # each is raised once
        self.calls = 0

    def renew(self, owned):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return super().renew(owned)

    def find_orphans(self):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return super().find_orphans()


@pytest.fixture
def journal():
    return Faulty()


@pytest.fixture
def keeper(journal):
    return LeaseKeeper(journal, HOUR_MS)


def record(journal, *job_ids):
    for job_id in job_ids:
        journal.create(replace(FIRST, job_id=job_id), {"job": job_id})


@contextmanager
def running(looped):
    """Run ``looped`` in a thread while the block runs."""
    thread = threading.Thread(target=looped.run)
    thread.start()
    try:
        yield
    finally:
        looped.stop()
        thread.join(timeout=10)
        assert not thread.is_alive()


def lost(lease):
    try:
        lease.check()
    except LeaseLostError:
        return True
    return False


# A lease


def test_a_lease_holds_until_it_ends():
    Lease("j1", 1, time.monotonic() + 60).check()
    for ends_s in (time.monotonic(), time.monotonic() - 60, 0.0):
        with pytest.raises(LeaseLostError, match="j1"):
            Lease("j1", 1, ends_s).check()


def test_a_lease_ends_for_its_run_before_it_ends_in_the_store(keeper):
    now_s = time.monotonic()
    with keeper.keeping("j1", 1, now_s) as lease:
        assert lease.ends_s == pytest.approx(now_s + HOUR_S)
        assert lease.ends_s < now_s + HOUR_MS / 1000


def test_a_lease_is_measured_from_before_the_claim(keeper):
    now_s = time.monotonic()
    with keeper.keeping("j1", 1, now_s - HOUR_S + 60) as lease:
        lease.check()
    with keeper.keeping("j1", 1, now_s - HOUR_S) as lease:
        assert lost(lease)


# Renewing


def test_renewing_keeps_the_job_for_another_lease(journal, keeper):
    record(journal, "j1")
    journal.claim("j1", "me")
    start_s = time.monotonic()
    with keeper.keeping("j1", 1, start_s - HOUR_S) as lease:
        journal.now_ms += HOUR_MS - 1
        keeper.renew()
        lease.check()
        assert start_s + HOUR_S <= lease.ends_s <= time.monotonic() + HOUR_S
    journal.now_ms += HOUR_MS - 1
    assert journal.claim("j1", "you") is None
    assert journal.find_orphans() == []


def test_a_renewed_lease_is_measured_from_before_the_renewal_was_sent(journal, keeper):
    record(journal, "j1")
    journal.claim("j1", "me")
    answered_s = []

    def renew(owned):
        answered_s.append(time.monotonic())
        return InMemoryJournal.renew(journal, owned)

    journal.renew = renew
    with keeper.keeping("j1", 1, time.monotonic()) as lease:
        keeper.renew()
        assert lease.ends_s <= answered_s[0] + HOUR_S


def test_all_leases_are_renewed_in_one_step(journal, keeper):
    record(journal, "j1", "j2")
    journal.claim("j1", "me")
    journal.claim("j2", "me")
    long_ago_s = time.monotonic() - HOUR_S
    with keeper.keeping("j1", 1, long_ago_s) as first, keeper.keeping("j2", 1, long_ago_s) as second:
        keeper.renew()
        assert not lost(first)
        assert not lost(second)
    assert journal.calls == 1


def test_a_job_claimed_by_another_run_is_lost_at_once_and_other_leases_are_kept(journal, keeper):
    record(journal, "j1", "j2")
    now_s = time.monotonic()
    journal.claim("j1", "me")
    with keeper.keeping("j1", 1, now_s) as mine, keeper.keeping("j2", 1, now_s) as kept:
        journal.now_ms += HOUR_MS + 1
        assert journal.claim("j1", "you").attempt == 2
        journal.claim("j2", "me")
        keeper.renew()
        assert lost(mine)
        assert not lost(kept)
    assert journal.jobs["j1"].claimant == "you"


def test_a_lost_run_does_not_renew_the_lease_of_the_new_owner(journal, keeper):
    record(journal, "j1")
    journal.claim("j1", "me")
    with keeper.keeping("j1", 1, time.monotonic()) as lease:
        journal.now_ms += HOUR_MS + 1
        journal.claim("j1", "you")
        until_ms = journal.jobs["j1"].lease_ms
        journal.now_ms += 1_000
        keeper.renew()
        assert journal.jobs["j1"].lease_ms == until_ms, "it renewed another's lease"
        assert lost(lease)


def test_a_job_that_has_ended_is_not_renewed(journal, keeper):
    record(journal, "j1")
    journal.claim("j1", "me")
    with keeper.keeping("j1", 1, time.monotonic()) as lease:
        journal.jobs["j1"].status = JobStatus.FAILED
        keeper.renew()
        assert lost(lease)


def test_a_job_is_renewed_only_while_it_is_kept(journal, keeper):
    record(journal, "j1")
    journal.claim("j1", "me")
    with pytest.raises(ZeroDivisionError), keeper.keeping("j1", 1, time.monotonic()):
        raise ZeroDivisionError
    keeper.renew()
    assert journal.calls == 0


def test_a_late_run_does_not_end_the_lease_of_its_successor(journal, keeper):
    """Both run in one process: the job was lost, and the same worker claimed it again."""
    record(journal, "j1")
    journal.claim("j1", "me")
    early = keeper.keeping("j1", 1, time.monotonic())
    early.__enter__()
    journal.now_ms += HOUR_MS + 1
    journal.claim("j1", "me again")
    with keeper.keeping("j1", 2, time.monotonic() - HOUR_S) as lease:
        early.__exit__(None, None, None)
        keeper.renew()
        assert not lost(lease)


def test_a_lease_expires_when_the_store_does_not_answer(journal, keeper):
    record(journal, "j1")
    journal.claim("j1", "me")
    with keeper.keeping("j1", 1, time.monotonic()) as lease:
        ends_s = lease.ends_s
        journal.errors = [StoreConnectionError("away")]
        with pytest.raises(StoreConnectionError):
            keeper.renew()
        assert lease.ends_s == ends_s
        lease.check()
    with keeper.keeping("j1", 1, time.monotonic() - HOUR_S) as lease:
        journal.errors = [StoreConnectionError("away"), StoreConnectionError("away")]
        with pytest.raises(StoreConnectionError):
            keeper.renew()
        assert lost(lease)


def test_the_keeper_continues_after_any_error(journal, caplog):
    record(journal, "j1")
    journal.claim("j1", "me")
    keeper = LeaseKeeper(journal, lease_ms=RENEWALS_PER_LEASE)  # a renewal each millisecond
    journal.errors = [StoreConnectionError("away"), ZeroDivisionError(), StoreConnectionError("away")]
    journal.now_ms += 1_000
    with keeper.keeping("j1", 1, time.monotonic()), running(keeper):
        wait_until(lambda: journal.jobs["j1"].lease_ms == journal.now_ms + HOUR_MS)
    assert "cannot renew 1 leases: away" in caplog.text
    assert "ZeroDivisionError" in caplog.text


# Stalls: a lease has ended here, and perhaps not in the store


def test_a_run_continues_after_a_stall_while_the_job_is_its_own(journal, keeper):
    record(journal, "j1", "j2")
    for job_id in ("j1", "j2"):
        journal.claim(job_id, "me")
    long_ago_s = time.monotonic() - HOUR_S
    with keeper.keeping("j1", 1, long_ago_s) as first, keeper.keeping("j2", 1, long_ago_s) as second:
        journal.now_ms += HOUR_MS - 1
        first.check()
        assert second.ends_s > time.monotonic(), "all leases are renewed together"
    journal.now_ms += HOUR_MS - 1
    assert journal.claim("j1", "you") is None


def test_a_run_stops_after_a_stall_in_which_another_run_has_claimed_its_job(journal, keeper):
    record(journal, "j1")
    journal.claim("j1", "me")
    with keeper.keeping("j1", 1, time.monotonic() - HOUR_S) as lease:
        journal.now_ms += HOUR_MS + 1
        journal.claim("j1", "you")
        assert lost(lease)
    assert journal.jobs["j1"].claimant == "you"


class CountingLock:
    """A lock that counts the threads that have asked for it."""

    def __init__(self):
        self.asked = 0
        self._lock = threading.Lock()

    def __enter__(self):
        self.asked += 1
        self._lock.acquire()

    def __exit__(self, *_):
        self._lock.release()


def test_runs_that_stop_while_the_store_is_away_share_one_attempt_to_renew(journal, keeper):
    """Each attempt may take as long as the store's time-out."""
    journal.errors = [StoreConnectionError("away") for _ in range(10)]
    keeper._late = CountingLock()
    with ExitStack() as stack, ThreadPoolExecutor() as runs, keeper._late:
        long_ago_s = time.monotonic() - HOUR_S
        leases = [stack.enter_context(keeper.keeping(f"j{number}", 1, long_ago_s)) for number in range(4)]
        stopped = [runs.submit(lost, lease) for lease in leases]
        wait_until(lambda: keeper._late.asked == 5)
    assert [run.result() for run in stopped] == [True] * 4
    assert journal.calls == 1


def test_a_worker_that_stalls_for_three_quarters_of_a_lease_keeps_its_jobs():
    """It may stall just before a renewal, and the run stops before the lease ends in the store."""
    assert 1 - 1 / RENEWALS_PER_LEASE - MARGIN > 0.75, "docs/explanation/reliability.md states 0.75"


# Sweeping


@pytest.fixture
def sent():
    return []


@pytest.fixture
def sweeper(journal, sent):
    return OrphanSweeper(journal, HOUR_MS, lambda *message: sent.append(message))


def test_nothing_is_sent_while_no_job_is_orphaned(journal, sweeper, sent):
    record(journal, "j1", "j2")
    journal.claim("j1", "me")
    assert sweeper.sweep() == 0
    assert sent == []


def test_an_orphan_is_sent_as_resumed_and_a_lost_message_as_new(journal, sweeper, sent):
    record(journal, "orphan", "lost", "kept")
    journal.claim("orphan", "me")
    journal.now_ms += HOUR_MS + 1
    journal.claim("kept", "me")
    assert sweeper.sweep() == 2
    assert sorted(sent) == [("lost", {"job": "lost"}, False), ("orphan", {"job": "orphan"}, True)]


def test_an_orphan_is_sent_again_only_after_a_while(journal, sweeper, sent):
    record(journal, "j1")
    journal.claim("j1", "me")
    journal.now_ms += HOUR_MS + 1
    assert [sweeper.sweep(), sweeper.sweep()] == [1, 0]
    journal.now_ms += keys.NEW_MESSAGE_CHECK_DELAY_MS
    assert sweeper.sweep() == 1
    assert len(sent) == 2


def test_the_recorded_request_is_sent(journal, sweeper, sent):
    document = {"buyAmount": 0.1, "wallets": ["ä"], "mode": "standard"}
    journal.create(FIRST, document)
    journal.now_ms += keys.NEW_MESSAGE_CHECK_DELAY_MS + 1
    sweeper.sweep()
    assert sent == [("j1", document, False)]
    assert json.loads(journal.jobs["j1"].request) == document


def test_messages_that_the_broker_refuses_are_sent_by_a_later_sweep(journal, sent):
    errors = [OperationalError("away")]

    def send(*message):
        if errors:
            raise errors.pop()
        sent.append(message)

    sweeper = OrphanSweeper(journal, HOUR_MS, send)
    record(journal, "j1", "j2")
    journal.now_ms += keys.NEW_MESSAGE_CHECK_DELAY_MS + 1
    with pytest.raises(OperationalError):
        sweeper.sweep()
    assert (sent, sweeper.sweep()) == ([], 0)
    journal.now_ms += keys.NEW_MESSAGE_CHECK_DELAY_MS
    assert sweeper.sweep() == 2
    assert [job_id for job_id, *_ in sent] == ["j1", "j2"]


def test_the_sweeper_continues_after_any_error(journal, sent, caplog):
    record(journal, "j1")
    journal.now_ms += keys.NEW_MESSAGE_CHECK_DELAY_MS + 1
    journal.errors = [StoreConnectionError("away"), OperationalError("gone"), ZeroDivisionError()]
    sweeper = OrphanSweeper(journal, 3, lambda *message: sent.append(message))  # a sweep each millisecond
    with running(sweeper):
        wait_until(lambda: sent)
    assert sent == [("j1", {"job": "j1"}, False)]
    for text in ("orphaned jobs: away", "orphaned jobs: gone", "ZeroDivisionError", "its message again"):
        assert text in caplog.text


def test_a_started_worker_sweeps_at_once(journal, sweeper, sent):
    record(journal, "j1")
    journal.now_ms += keys.NEW_MESSAGE_CHECK_DELAY_MS + 1
    with running(sweeper):  # its next sweep is in twenty minutes
        wait_until(lambda: sent)


def test_a_sweeper_pauses_until_the_next_lease_expires(journal, sweeper):
    interval_s = HOUR_MS / 1000 / SWEEPS_PER_LEASE
    record(journal, "j1", "j2")
    assert sweeper.pause_s() == interval_s, "no lease can expire"
    journal.claim("j1", "me")
    assert sweeper.pause_s() == interval_s, "the lease is longer than the interval"
    journal.now_ms += HOUR_MS - 60_000
    journal.claim("j2", "me")
    assert sweeper.pause_s() == 60
    journal.now_ms += 60_001
    assert sweeper.pause_s() == 0


def test_an_orphan_is_found_as_soon_as_its_lease_expires(journal, sent):
    """The regular interval is twenty minutes."""
    record(journal, "j1")
    journal.claim("j1", "me")
    journal.jobs["j1"].due_ms = journal.now_ms + 30
    pauses = []

    def ms_until_due():
        pauses.append(InMemoryJournal.ms_until_due(journal))
        journal.now_ms += 30  # the pause
        return pauses[-1]

    journal.ms_until_due = ms_until_due
    with running(OrphanSweeper(journal, HOUR_MS, lambda *message: sent.append(message))):
        wait_until(lambda: sent)
    assert sent == [("j1", {"job": "j1"}, True)]
    assert pauses[0] == 30


def test_more_orphans_than_one_sweep_returns_are_found_without_a_pause(journal, sent):
    names = [f"j{number}" for number in range(2 * keys.SWEEP_LIMIT + 1)]
    record(journal, *names)
    for name in names:
        journal.claim(name, "me")
    journal.now_ms += HOUR_MS + 1
    with running(OrphanSweeper(journal, HOUR_MS, lambda *message: sent.append(message))):
        wait_until(lambda: len(sent) == len(names))
