"""What an operator reads at ``GET /metrics``."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis.exceptions import ConnectionError as StoreConnectionError
from samples import FIRST_EVENT
from waiting import wait_until

from api import metrics
from api.admission import Turns
from api.audience import Audience
from api.frames import Frame
from api.outbox import MAX_BYTES, Outbox, flush
from api.reader import Reader
from api.rooms import RoomError
from cto_worker.events import Details, Status, encode
from cto_worker.history import History


@pytest.fixture
def scrape(app, rest, store):
    """Read the metrics of gateway 2: name and door → value."""
    app.register_blueprint(metrics.blueprint(2, lambda: {"socketio": 7, "stream": 0}, History(store).backlog))

    def scrape():
        answer = rest.get("/metrics")
        assert answer.status_code == 200
        assert answer.content_type.startswith("text/plain")
        samples = [
            sample
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
            if "gateway" in family.name
        ]
        assert {sample.labels["gateway"] for sample in samples} == {"2"}
        return {
            (sample.name.removeprefix("cto_gateway_"), sample.labels.get("door")): sample.value
            for sample in samples
        }

    return scrape


def growth(scrape, act):
    before = scrape()
    act()
    return {name: value - before[name, door] for (name, door), value in scrape().items() if not door}


def big_event(job_id, seq):
    details = Details(current_operation="x" * (MAX_BYTES // 10))
    event = replace(FIRST_EVENT, job_id=job_id, seq=seq, status=Status.IN_PROGRESS, details=details)
    return Frame(encode(event))


def test_every_counter_is_there_from_the_beginning_and_says_whose_it_is(scrape):
    read = scrape()
    assert read["sockets", "socketio"] == 7
    assert read["sockets", "stream"] == 0
    assert {name for name, door in read if not door} == {
        "events_relayed_total",
        "events_merged_total",
        "clients_dropped_total",
        "turns_refused_total",
        "silent_sessions_closed_total",
        "full_refused_total",
        "address_full_refused_total",
        "user_full_refused_total",
    }


def test_what_a_slow_reader_is_spared_and_that_it_is_dropped_is_told(scrape):
    slow = Outbox()

    def tell(jobs):
        for seq, job_id in enumerate(jobs, 1):
            slow.put_frame(big_event(job_id, seq))
        flush()

    spared = growth(scrape, lambda: tell(["j1"] * 11))
    assert (spared["events_merged_total"], spared["clients_dropped_total"]) == (8, 0)
    dropped = growth(scrape, lambda: tell(f"j{number}" for number in range(2, 20)))
    assert dropped["clients_dropped_total"] == 1


def test_events_are_counted_once_for_each_reader(scrape, store):
    audience, frames = Audience(History(store)), [big_event("j1", seq) for seq in range(1, 4)]
    readers = [Reader(lambda _: None, lambda *_: None) for _ in range(5)]

    def tell():
        for frame in frames:
            audience.send(frame, readers)
            audience.send(frame, readers)  # what comes again is not told again

    assert growth(scrape, tell)["events_relayed_total"] == 15


def test_who_finds_no_turn_is_counted(scrape):
    turns = Turns(0)

    def ask():
        with pytest.raises(RoomError), turns.turn(0.01):
            pass

    assert growth(scrape, ask)["turns_refused_total"] == 1


def system_metrics(rest):
    """What every gateway tells alike: name and label → value."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(rest.get("/metrics").text)
        for sample in family.samples
        if not sample.name.startswith("cto_gateway_")
    }


def test_what_waits_in_the_whole_system_is_told(scrape, rest, journal):
    nothing = system_metrics(rest)
    assert nothing["cto_store_up",] == 1
    assert nothing["cto_oldest_waiting_seconds",] == 0
    assert nothing["cto_jobs", "waiting"] == nothing["cto_jobs", "active"] == 0
    for number in range(3):
        now_ms = time.time_ns() // 1_000_000
        journal.create(replace(FIRST_EVENT, job_id=f"j{number}", timestamp=now_ms), {})
    journal.claim("j0", "me")
    journal.append(replace(FIRST_EVENT, job_id="j0", seq=2, attempt=1, status=Status.IN_PROGRESS))
    told = system_metrics(rest)
    assert (told["cto_jobs", "waiting"], told["cto_jobs", "active"]) == (2, 1)
    assert told["cto_queue_messages", "cto"] == told["cto_queue_messages", "cto.resumed"] == 0
    assert 0 < wait_until(lambda: system_metrics(rest)["cto_oldest_waiting_seconds",]) < 60


def test_while_the_store_is_away_only_that_is_told_of_the_system(app, rest):
    def backlog():
        raise StoreConnectionError

    app.register_blueprint(metrics.blueprint(1, dict, backlog))
    assert system_metrics(rest) == {("cto_store_up",): 0}
