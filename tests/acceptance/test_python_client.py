"""The Python client on a running system: both clients, resumption, repetition and errors."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import msgspec
import pytest
from cto_client import AsyncClient, Client, CTOError, Operation, models, protocol
from support.samples import operation
from support.tcp_proxy import TcpProxy
from support.tokens import token

from api.spec import openapi
from api.spec.json_schemas import json_schemas, response_schemas

MODES = ("prefunded", "standard")


class Blocking:
    """The asyncio client behind blocking calls, so that one test covers both clients."""

    def __init__(self, *arguments, **options):
        self._client = AsyncClient(*arguments, **options)
        self._loop = asyncio.new_event_loop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._loop.run_until_complete(self._client.close())
        self._loop.close()

    def __getattr__(self, name):
        def call(*arguments, **options):
            answer = getattr(self._client, name)(*arguments, **options)
            return self._iterate(answer) if name in {"follow", "jobs"} else self._run(answer)

        return call

    def _run(self, awaitable):
        return self._loop.run_until_complete(awaitable)

    def _iterate(self, iterator):
        while (item := self._run(anext(iterator, None))) is not None:
            yield item


@pytest.fixture(params=[Client, Blocking], ids=["sync", "async"])
def connect(request):
    clients = []

    def connect(*arguments, **options):
        clients.append(request.param(*arguments, **options))
        return clients[-1]

    yield connect
    for client in clients:
        client.__exit__()


@pytest.fixture
def client(connect, system):
    return connect(system.url)


def test_an_operation_is_followed_from_its_start_to_its_end(client, user):
    job_id = client.submit(operation(userId=user, walletCount=3))
    events = list(client.follow(job_id))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events[0].status == "started"
    assert (events[-1].status, events[-1].ended, events[-1].details.outcome) == ("completed", True, "full")
    assert events[-1].details.planned_buys == 3
    job = client.status(job_id)
    assert job.ended
    assert job.progress_events == client.events(job_id) == events
    assert (job.operation_result.successful_buys, job.operation_result.wallets[0].buy) == (3, "confirmed")
    assert list(client.follow(job_id, after=len(events))) == []
    assert [event.seq for event in client.events(job_id, after=3)] == list(range(4, len(events) + 1))


def test_a_model_and_a_dictionary_start_the_same_operation(client, user):
    document = operation(userId=user)
    model = msgspec.convert(document, Operation)
    first = client.submit(document, idempotency_key=f"key-{user}")
    assert client.submit(model, idempotency_key=f"key-{user}") == first
    assert client.submit(model) != first, "without a key each call is a new operation"


@pytest.mark.parametrize("key", ["", 17, "schlüssel"])
def test_a_wrong_idempotency_key_starts_no_operation(client, user, key):
    with pytest.raises(CTOError) as refused:
        client.submit(operation(userId=user), idempotency_key=key)
    assert refused.value.code == "invalid_idempotency_key"
    assert list(client.jobs(user_id=user)) == []


def test_jobs_are_listed_over_several_pages(client, user):
    jobs = [client.submit(operation(userId=user)) for _ in range(5)]
    listed = list(client.jobs(user_id=user, page_size=2))
    assert [job.job_id for job in listed] == jobs[::-1]
    assert {job.user_id for job in listed} == {user}
    assert client.stats(jobs).total == 5
    for job_id in jobs:
        list(client.follow(job_id))
    assert client.stats(jobs).completed == 5
    assert len(list(client.jobs(user_id=user, status="completed"))) == 5


def test_jobs_are_filtered_and_summed_up(client, user):
    full, _ = (client.submit(operation(userId=user, walletCount=2, mode=mode)) for mode in MODES)
    *_, last = client.follow(full)
    created = client.events(full)[0].timestamp
    filters = {"user_id": user, "mode": MODES[0], "outcome": "full", "needs_review": False, "status": None}
    for more in ({}, {"signature": last.details.transaction_signatures[0]}, {"from_ms": created}):
        assert [job.job_id for job in client.jobs(**filters, **more)] == [full]
        totals = client.summary(**filters, **more)
        assert (totals.total, totals.by_status.completed, totals.by_outcome.full) == (1, 1, 1)
        assert (totals.successful_buys, totals.total_spent) == (2, last.details.total_spent)
    assert client.summary(user_id=user, to_ms=created).total == 0
    with pytest.raises(TypeError, match="userid"):
        client.summary(userid=user)


def test_a_job_is_cancelled(client, user):
    job_id = client.submit(operation(userId=user, walletCount=50))
    assert client.cancel(job_id).cancel_requested
    *_, last = client.follow(job_id)
    assert last.details.error_code == "cancelled"
    with pytest.raises(CTOError) as refused:
        client.cancel(job_id)
    assert (refused.value.code, refused.value.status) == ("job_ended", 409)


def test_errors_have_the_servers_code_status_and_fields(client, user):
    with pytest.raises(CTOError) as invalid:
        client.submit(operation(userId=user, buyAmount=-1))
    assert (invalid.value.code, invalid.value.status) == ("invalid_request", 400)
    assert list(invalid.value.fields) == ["buyAmount"]
    for call in (client.status, client.events, client.cancel, lambda job_id: list(client.follow(job_id))):
        with pytest.raises(CTOError) as unknown:
            call("no such job/..")
        assert unknown.value.status in {400, 404}, unknown.value


def test_an_address_of_another_scheme_is_refused_at_once(connect):
    with pytest.raises(ValueError, match="must begin with http"):
        Client("localhost:3000")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<!doctype html>", "token contains '<'"),
        ("secret\n", r"token contains '\n'"),
        ("two words", "token contains ' '"),
        ("sécret", "token contains 'é'"),
        (b"secret", "token is a bytes: pass a str"),
    ],
)
def test_a_text_that_is_no_token_is_refused_at_once_and_not_repeated(connect, text, reason):
    with pytest.raises(CTOError) as refused:
        connect("http://127.0.0.1:9", text)
    assert refused.value.code == "invalid_token"
    assert reason in refused.value.message
    assert "secret" not in refused.value.message
    client = connect("http://127.0.0.1:9", lambda: text)
    for call in (client.status, lambda job_id: list(client.follow(job_id))):
        with pytest.raises(CTOError) as refused:
            call("x")
        assert (refused.value.code, refused.value.status) == ("invalid_token", None)


def test_an_unreachable_gateway_is_reported_after_the_retries(connect):
    with pytest.raises(CTOError) as failed:
        connect("http://127.0.0.1:9", retry_for_s=0.1).status("x")
    assert (failed.value.code, failed.value.status) == ("unreachable", None)
    assert "127.0.0.1:9" in failed.value.message


def test_a_page_that_is_not_this_api_is_an_unexpected_response(connect, system):
    with pytest.raises(CTOError) as unexpected:
        connect(f"{system.url}/docs?").status("x")
    assert unexpected.value.code == "unexpected_response"


@pytest.fixture
def proxy(system):
    proxy = TcpProxy(int(system.url.rpartition(":")[2]))
    yield proxy
    proxy.close()


def test_a_stream_that_is_cut_resumes_without_a_gap_or_a_repetition(connect, system, proxy, user):
    client = connect(proxy.url)
    # Long enough that it does not end while a busy machine follows it up to the third cut.
    job_id = client.submit(operation(userId=user, mode="standard", walletCount=50, buyAmount=1))
    seen = []
    for event in client.follow(job_id):
        seen.append(event.seq)
        if len(seen) in {2, 5, 9}:
            proxy.cut()
    assert seen == list(range(1, len(system.events(job_id)) + 1))
    assert proxy.asked("/stream") >= 3


def test_requests_and_lost_connections_are_logged(connect, proxy, user, caplog):
    caplog.set_level("DEBUG", "cto_client")
    client = connect(proxy.url, "secret")  # the gateway ignores it: it requires no tokens
    job_id = client.submit(operation(userId=user, mode="standard", walletCount=20))
    assert ("cto_client", logging.DEBUG, "POST /api/cto/jobs: HTTP 202") in caplog.record_tuples
    for number, _ in enumerate(client.follow(job_id)):
        if number == 2:
            proxy.cut()
    opened = ("cto_client", logging.DEBUG, f"GET /api/cto/job/{job_id}/stream: HTTP 200")
    assert caplog.record_tuples.count(opened) == 2
    (lost,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert lost.getMessage().startswith(f"following {job_id}: the stream was interrupted: ")
    assert "; next attempt in 0." in lost.getMessage()
    assert "secret" not in caplog.text


def test_a_gateway_that_does_not_answer_is_logged_while_the_client_waits(connect, caplog, monkeypatch):
    monkeypatch.setattr(protocol, "STREAM_TIMEOUT", httpx.Timeout(0.2))

    def token_until_two_warnings():
        if len(caplog.records) == 2:
            raise KeyError("stop")
        return "token"

    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = connect(f"http://127.0.0.1:{silent.getsockname()[1]}", token_until_two_warnings)
        with pytest.raises(KeyError, match="stop"):
            next(client.follow("a-job"))
    for record in caplog.records:
        assert record.levelno == logging.WARNING
        assert re.fullmatch(
            r"following a-job: the stream was interrupted: \w.*; next attempt in \d\.\d s",
            record.getMessage(),
        )


def test_a_program_that_was_restarted_continues_after_the_last_event_it_has(client, user):
    job_id = client.submit(operation(userId=user, walletCount=5))
    first = next(iter(client.follow(job_id)))
    assert next(event.seq for event in client.follow(job_id, after=first.seq)) == first.seq + 1


@pytest.mark.parametrize("trouble", ["refuse", "lose_answers"])
def test_a_submission_is_repeated_with_one_key_until_it_is_answered(connect, system, proxy, user, trouble):
    client = connect(proxy.url)
    getattr(proxy, trouble)("POST /api/cto/jobs")
    timer = threading.Timer(1, getattr(proxy, trouble))
    timer.start()
    job_id = client.submit(operation(userId=user))
    timer.join()
    assert proxy.asked("POST /api/cto/jobs") >= 2
    assert [job["jobId"] for job in system.get("/api/cto/jobs", userId=user)["jobs"]] == [job_id]


def test_many_operations_are_followed_by_one_client(system, user):
    with Client(system.url) as client, ThreadPoolExecutor(10) as pool:
        jobs = [client.submit(operation(userId=user)) for _ in range(10)]
        last = pool.map(lambda job_id: list(client.follow(job_id))[-1], jobs)
    assert {event.status for event in last} == {"completed"}


def test_a_token_may_come_from_a_function(connect, guarded, user):
    with pytest.raises(CTOError) as refused:
        connect(guarded.url).submit(operation(userId=user))
    assert (refused.value.code, refused.value.status) == ("unauthorized", 401)
    client = connect(guarded.url, lambda: token(user))
    job_id = client.submit(operation(userId=user))
    assert list(client.follow(job_id))[-1].ended


@pytest.mark.parametrize(
    ("model", "schema"),
    [
        (models.Created, "Created"),
        (models.Cancelling, "Cancelling"),
        (models.Stats, "Stats"),
        (models.Summary, "Summary"),
        (models.StatusCounts, "StatusCounts"),
        (models.OutcomeCounts, "OutcomeCounts"),
        (models.Events, "Events"),
        (models.Event, "ProgressEvent"),
        (models.Details, "Details"),
        (models.Step, "StepResult"),
        (models.Job, "JobStatus"),
        (models.JobSummary, "JobSummary"),
        (models.Page, "Page"),
        (models.OperationResult, "OperationResult"),
        (models.Resolution, "ResolvedStep"),
        (models.WalletResult, "WalletResult"),
    ],
    ids=str,
)
def test_a_model_has_the_fields_of_the_api_document(model, schema):
    published = set(response_schemas()[schema]["properties"]) - {"workerType"}
    assert {field.encode_name for field in msgspec.structs.fields(model)} == published


def test_the_filters_are_those_of_the_api_document():
    described = openapi.document()["paths"]["/api/cto/jobs/summary"]["get"]["parameters"]
    values = {name: 1 if name.endswith("_ms") else "text" for name in models.JobFilters.__annotations__}
    assert protocol.query_of(values).keys() == {parameter["name"] for parameter in described}


def test_the_request_has_the_fields_of_the_api_document():
    published = set(json_schemas("paper")["OperationRequest"]["properties"])
    assert {field.encode_name for field in msgspec.structs.fields(Operation)} == published
