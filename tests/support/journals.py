"""Both journals, in the store and in memory, with the same queries of their state, and values for them."""

from __future__ import annotations

import json

from msgspec.structs import replace

from cto_worker.config import Settings
from cto_worker.domain.buy_plan import Plan, Step
from cto_worker.domain.intent_codec import PLAN, decode_record
from cto_worker.domain.journal_ports import Entry, Idempotency
from cto_worker.domain.market_port import Buy, Order, Outcome, OutcomeStatus, Transfer
from cto_worker.domain.progress_event import Details, Status, decode
from cto_worker.store import keys
from cto_worker.store.journal_queries import JournalQueries
from cto_worker.store.redis_journal import RedisJournal
from cto_worker.testing.in_memory_journal import InMemoryJournal
from support.samples import FIRST_EVENT

FIRST = replace(FIRST_EVENT, socket_user_id="9")
SECOND = replace(FIRST, seq=2, attempt=1, phase=2, progress=25, status=Status.IN_PROGRESS)
COMPLETED = replace(SECOND, seq=3, phase=5, progress=100, status=Status.COMPLETED)
FAILED = replace(
    COMPLETED, status=Status.FAILED, details=Details(error="no SOL", error_code="insufficient_funds")
)
LEASE_MS = 60_000  # expires only when a test moves the time
GRACE_MS = keys.NEW_MESSAGE_CHECK_DELAY_MS
BUY = Buy("j1:w1:buy.1", "7", "w1", FIRST.token_address, 10, 500, 1)
TRANSFER = Transfer("j1:w1:transfer", "7", "funding", "w1", 11)
TRADE = Plan([Step(TRANSFER, "w1", "Distributing"), Step(BUY, "w1", "Buying")], {"funding": 12})
ORDER = Order(TRANSFER.intent_id, "signature", b"\x00exact bytes\xff")
CONFIRMED_OUTCOME = Outcome(OutcomeStatus.CONFIRMED, "signature", 5, 0)
UNKNOWN_OUTCOME = Outcome(OutcomeStatus.UNKNOWN, "signature")
KEY = Idempotency("service", "key-1", "fingerprint")


class Real:
    """The journal in the store, and queries of its state."""

    def __init__(self, store):
        self.journal = RedisJournal(store, Settings(lease_ms=LEASE_MS))
        self.store = store

    def events(self, job_id):
        stored = JournalQueries(self.store).events(job_id)
        return [decode(event) for event in stored.events] if stored else []

    def metadata(self, job_id):
        return json.loads(self.store.get(keys.meta(job_id)))

    def records(self, job_id):
        fields = {name.decode(): text for name, text in self.store.hgetall(keys.intents(job_id)).items()}
        return {name: decode_record(name, text) for name, text in fields.items() if name != PLAN}

    def let_pass(self, ms):
        """Move all times in the store into the past."""
        for due in (keys.DUE, keys.WAITING):
            for job_id in self.store.zrange(due, 0, -1):
                self.store.zincrby(due, -ms, job_id)
        for job_id in self.store.zrange(keys.DUE, 0, -1):
            for name in ("lease", "begun", "sent"):
                self.store.hincrby(keys.job(job_id.decode()), name, -ms)

    def put_a_message_in_the_queue(self):
        self.store.lpush(keys.QUEUE, "a message")

    def fill_the_queue_of_resumed_jobs(self):
        self.store.lpush(keys.RESUMED_QUEUE, "a message")

    def empty_the_queue_of_resumed_jobs(self):
        self.store.delete(keys.RESUMED_QUEUE)

    def for_review(self):
        lists = [
            [
                job_id.decode()
                for job_id in self.store.zrange(f"{keys.LIST_PREFIX}{owner}:{keys.REVIEW}", 0, -1)
            ]
            for owner in (FIRST.user_id, keys.ALL_OWNERS)
        ]
        assert lists[0] == lists[1]
        return lists[0]


class Twin:
    """The in-memory journal, and the same queries."""

    def __init__(self):
        self.journal = InMemoryJournal(lease_ms=LEASE_MS)

    def events(self, job_id):
        return self.journal.jobs[job_id].events if job_id in self.journal.jobs else []

    def metadata(self, job_id):
        return self.journal.metadata[job_id]

    def records(self, job_id):
        log = self.journal.jobs[job_id].log
        return {name: decode_record(name, text) for name, text in log.items() if name != PLAN}

    def let_pass(self, ms):
        self.journal.now_ms += ms

    def put_a_message_in_the_queue(self):
        self.journal.queued = True

    def fill_the_queue_of_resumed_jobs(self):
        self.journal.resumed_queued = True

    def empty_the_queue_of_resumed_jobs(self):
        self.journal.resumed_queued = False

    def for_review(self):
        return [job_id for job_id, job in self.journal.jobs.items() if job.review]


def planned(started):
    """Record the job's plan. Returns the event it was recorded with."""
    event = replace(SECOND, seq=3, phase=4, progress=70)
    started.append(Entry(event, plan=TRADE))
    return event
