"""From a queue message to a run: refusals, repeats, and an unreachable store."""

from __future__ import annotations

import pytest
from kombu.exceptions import OperationalError
from redis.exceptions import ConnectionError as StoreConnectionError
from support.operations import BODY, events_of, run

from cto_worker.domain.events import JobStatus, Status
from cto_worker.errors import OperationFailed
from cto_worker.jobs.producer import Producer
from cto_worker.jobs.runner import Runner
from cto_worker.store import keys
from cto_worker.testing.in_memory_journal import MemoryJournal
from cto_worker.testing.in_memory_market import MemoryMarket


@pytest.fixture
def journal():
    return MemoryJournal()


def test_a_doubled_message_does_nothing(journal):
    market = MemoryMarket()
    run(journal, market)
    sent, events = list(market.submitted), list(events_of(journal))
    assert Runner(journal, market).run_job("j1", BODY) is None
    assert (market.submitted, events_of(journal)) == (sent, events)


def test_a_message_that_has_outlived_its_job_starts_nothing(journal):
    assert Runner(journal, MemoryMarket()).run_job("gone-1", BODY, recorded=True) is None
    assert journal.jobs == {}


def test_a_job_whose_message_cannot_be_sent_is_accepted_and_left_to_a_sweep(journal):
    def cannot(*_):
        raise OperationalError("the broker is away")

    created = Producer(journal, cannot).submit(BODY)
    assert created.new
    journal.now_ms += keys.NEW_MESSAGE_CHECK_DELAY_MS
    assert [orphan.job_id for orphan in journal.due()] == [created.job_id]


def test_a_job_sent_by_bare_name_is_recorded_on_arrival(journal):
    result = Runner(journal, MemoryMarket()).run_job("bare-1", BODY)
    assert result["success"]
    assert events_of(journal, "bare-1")[0].status is Status.STARTED


@pytest.mark.parametrize(
    "document", [None, [], "x", {}, BODY | {"buyAmount": float("nan")}, BODY | {"extra": 1}]
)
def test_a_bad_message_is_refused_with_a_journalled_failure(journal, document):
    market = MemoryMarket()
    with pytest.raises(OperationFailed):
        Runner(journal, market).run_job("bad-1", document)
    first, last = events_of(journal, "bad-1")
    assert (first.seq, first.status) == (1, Status.STARTED)
    assert (last.seq, last.status, last.details.error_code) == (2, Status.FAILED, "invalid_request")
    assert journal.jobs["bad-1"].status is JobStatus.FAILED
    assert market.submitted == []


def test_an_unknown_platform_sent_by_bare_name_is_an_invalid_request(journal):
    with pytest.raises(OperationFailed, match="pumpfun, bonk") as refusal:
        Runner(journal, MemoryMarket(), platforms=("pumpfun", "bonk")).run_job("j1", BODY | {"platform": "x"})
    assert refusal.value.code == "invalid_request"


def test_a_refusal_reaches_the_owner_it_names(journal):
    with pytest.raises(OperationFailed, match="buyAmount"):
        Runner(journal, MemoryMarket()).run_job("bad-1", BODY | {"buyAmount": -1})
    assert events_of(journal, "bad-1")[-1].user_id == "7"


@pytest.mark.parametrize("job_id", ["", "a b", "x" * 129, "../x", 'a"b', "a\n"])
def test_a_message_with_an_invalid_job_id_is_refused(journal, job_id):
    with pytest.raises(Exception, match="jobId"):
        Runner(journal, MemoryMarket()).run_job(job_id, BODY)
    assert journal.jobs == {}


def test_a_refused_job_that_is_taken_over_keeps_its_owner_and_its_reason(journal):
    class Died(BaseException):
        pass

    def die(_):
        raise Died

    journal.before_append = die
    with pytest.raises(Died):
        Runner(journal, MemoryMarket()).run_job("bad-1", BODY | {"buyAmount": -1})
    journal.before_append = lambda _: None
    journal.now_ms += journal.lease_ms + 1
    (orphan,) = journal.due()
    with pytest.raises(OperationFailed, match="buyAmount"):
        Runner(journal, MemoryMarket()).run_job("bad-1", orphan.request)
    assert events_of(journal, "bad-1")[-1].user_id == "7"


def test_a_message_waits_for_an_unreachable_store(journal, monkeypatch):
    monkeypatch.setattr("cto_worker.jobs.runner.RETRY_S", 0.01)
    claim, calls = journal.claim, []

    class Flaky(MemoryJournal):
        def claim(self, job_id, claimant):
            calls.append(job_id)
            if len(calls) < 3:
                raise StoreConnectionError
            return claim(job_id, claimant)

        create, append, intend, submitted = (
            staticmethod(getattr(journal, name)) for name in ("create", "append", "intend", "submitted")
        )

    assert Runner(Flaky(), MemoryMarket()).run_job("bare-1", BODY)["success"]


def test_the_text_of_a_refusal_is_short_and_valid_utf_8(journal):
    long = {f"field-{number}\ud800": 1 for number in range(10_000)}
    with pytest.raises(OperationFailed):
        Runner(journal, MemoryMarket()).run_job("bad-1", BODY | long)
    assert 0 < len(events_of(journal, "bad-1")[-1].details.error) <= 500
