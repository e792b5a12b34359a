"""Reads of the archive by a running gateway: on every transport, and while the database does not answer.

A database that hangs must not stop the gateway's other work, and no request may hang with it.
"""

from __future__ import annotations

import socket
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial

import psycopg
import pytest
import requests
from support.clients import EventStream, PythonClient, WebSocketClient, clients_of_every_transport
from support.samples import new_user
from support.waiting import wait_until

from cto_worker.archive.database import connect
from cto_worker.archive.schema_migration import migrate
from cto_worker.store import keys

ATTEMPTS = 3  # on a busy machine the other requests may take longer than the list, which gets 503 after 3 s
RECOVERY_S = 12  # by this time the gateway has given up the query that hangs


def answers(system, job_ids):
    paths = [f"job/{job_id}/{kind}" for job_id in job_ids for kind in ("status", "latest", "events")]
    paths += ["jobs", "jobs.csv", "jobs/summary", f"jobs/stats?jobIds={','.join(job_ids)}"]
    return {path: requests.get(f"{system.url}/api/cto/{path}", timeout=10).content for path in paths}


@pytest.mark.parametrize("engine", ["eventlet", "gevent"])
def test_an_archived_job_reads_the_same_on_every_transport(build, engine):
    system = build(CTO_ENGINE=engine)
    worker = system.worker()
    system.gateway()
    job_ids = [system.submit(), system.submit(mode="prefunded", buyAmount=5_000, walletCount=1)]
    system.wait_for_end(job_ids)
    before = answers(system, job_ids)
    wait_until(lambda: all(system.client.hexists(keys.job(job_id), "archived") for job_id in job_ids))
    assert answers(system, job_ids) == before, "archived, and still in the store"
    worker.kill()
    for job_id in job_ids:
        for key in (keys.job, keys.events, keys.intents, keys.meta):
            system.client.delete(key(job_id))
    assert answers(system, job_ids) == before, "in the archive only"
    job_id, count = job_ids[0], len(system.get(f"/api/cto/job/{job_ids[0]}/events")["events"])
    with closing(EventStream(system, f"/api/cto/job/{job_id}/stream?after=0")) as stream:
        stream.read()
        assert stream.complete
        assert [event["seq"] for event in stream.events()] == list(range(1, count + 1))
    assert (
        requests.get(f"{system.url}/api/cto/job/{job_id}/stream?after={count}", timeout=10).status_code == 204
    )
    with closing(PythonClient(system.url, "websocket", [f"job_{job_id}"])) as client:
        client.wait_for(lambda client: client.answers())
        assert client.answers()[f"job_{job_id}"]["success"]
        for after in (0, count - 1, count):
            answer = client.client.call("resume", {"jobId": job_id, "after": after})
            assert [event["seq"] for event in answer["events"]] == list(range(after + 1, count + 1))
        assert client.call("resume", {"jobId": "unknown", "after": 0}) == "job_not_found"
    with closing(WebSocketClient(system)) as client:
        assert client.call("resume", {"jobId": job_id, "after": count - 2}) is None
        client.wait_for(lambda client: len(client.events()) == 2 or client.received("resumed"))


@contextmanager
def locked_sqlite(build, _):
    """Yield a system whose SQLite file another process locks, and nothing to wait for."""
    system = build()
    system.gateway()
    with closing(sqlite3.connect(system.settings.archive_path, isolation_level=None)) as locker:
        locker.execute("PRAGMA locking_mode = EXCLUSIVE")
        locker.execute("BEGIN EXCLUSIVE")
        yield system, lambda: True


@contextmanager
def locked_postgresql(build, request):
    """Yield a system whose table another session locks."""
    url = request.getfixturevalue("postgresql").new_database()
    system = build(CTO_ARCHIVE_URL=url)
    engine = connect(system.settings)
    migrate(engine)
    engine.dispose()
    system.gateway()
    with psycopg.connect(url) as locker:
        locker.execute("LOCK TABLE jobs, alembic_version IN ACCESS EXCLUSIVE MODE")
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        yield system, lambda: request.getfixturevalue("postgresql").execute(waiting)


@contextmanager
def silent_port(build, _):
    """Yield a system whose database accepts connections and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=100)) as listener:
        system = build(CTO_ARCHIVE_URL=f"postgresql://u:p@127.0.0.1:{listener.getsockname()[1]}/d")
        system.gateway()
        accepted = []
        threading.Thread(target=accept_all, args=(listener, accepted), daemon=True).start()
        yield system, lambda: accepted
        for connection in accepted:
            connection.close()


def accept_all(listener, accepted):
    try:
        while True:
            accepted.append(listener.accept()[0])
    except OSError:  # closed
        return


@pytest.mark.parametrize("engine", ["eventlet", "gevent"])
@pytest.mark.parametrize("fault", [locked_sqlite, locked_postgresql, silent_port])
def test_a_database_that_hangs_stops_nothing_else(build, request, fault, engine):
    user = new_user()
    built = fault(partial(build, CTO_ENGINE=engine), request)
    with built as (system, hangs), ThreadPoolExecutor(8) as threads:
        system.worker()
        # Everything that the gateway does without the archive is done while a list waits for it.
        for attempt in range(ATTEMPTS):
            threading.Event().wait(attempt and RECOVERY_S)
            waiting = threads.submit(requests.get, f"{system.url}/api/cto/jobs", timeout=30)
            wait_until(hangs)
            done = [
                requests.get(f"{system.url}/healthz", timeout=30).ok,
                requests.get(f"{system.url}/readyz", timeout=30).ok,
                requests.get(f"{system.url}/api/cto/jobs?status=active", timeout=30).ok,
            ]
            if not waiting.done():
                break
        else:
            pytest.fail("no other request was answered while the list waited")
        assert all(done)
        response = waiting.result()
        assert (response.status_code, response.json()["error"]["code"]) == (503, "archive_unavailable")
        assert int(response.headers["Retry-After"]) > 0

        # Lists are refused in the background all the time, and every event still reaches every client.
        stop = threading.Event()
        refusals = [threads.submit(ask_until, stop, f"{system.url}/api/cto/jobs") for _ in range(6)]
        try:
            with clients_of_every_transport(system, user) as clients:
                job_id = system.submit(userId=user)
                for client in clients:
                    client.wait_for(lambda client: client.ended() == {job_id})
                    assert [event["seq"] for event in client.events(job_id)] == list(
                        range(1, len(system.events(job_id)) + 1)
                    )
            assert system.get(f"/api/cto/job/{job_id}/status")["status"] == "completed"
        finally:
            stop.set()
        for refused in refusals:
            assert refused.result() == {(503, "archive_unavailable")}


def ask_until(stop, url):
    """Send requests until ``stop``. Return the different answers."""
    found = set()
    while not stop.is_set() or not found:
        response = requests.get(url, timeout=60)
        found.add((response.status_code, response.json()["error"]["code"]))
    return found
