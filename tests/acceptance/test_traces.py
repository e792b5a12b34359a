"""One trace from a request to each buy, across workers. A slow collector delays nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import pytest
import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from support.processes import environment
from support.samples import operation
from support.system import System
from support.tokens import GUARDED, SECRET, bearer, token
from support.waiting import wait_until

from cto_worker.jobs.celery_app import celery_app
from cto_worker.store import keys

ENQUEUE = "import cto_worker, json, sys; print(cto_worker.enqueue(json.loads(sys.argv[1])))"
CALLER = "00f067aa0ba902b7"  # the span of the caller
OK, SERVER_ERROR, ERROR = 200, 2, 2  # HTTP; and OpenTelemetry's kind and status
OFTEN = {"OTEL_BSP_SCHEDULE_DELAY": "100"}  # ms until spans are sent


class Span:
    """A span that the collector has received."""

    def __init__(self, service, span):
        self.service = service
        self.name = span.name
        self.id, self.parent, self.trace = span.span_id.hex(), span.parent_span_id.hex(), span.trace_id.hex()
        self.failed = span.status.code == ERROR
        self.status = span.status.message
        self.attributes = {
            pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in span.attributes
        }

    def __repr__(self):
        return f"{self.service} {self.name} {self.attributes}"


class Collector:
    """Receives spans by OTLP over HTTP."""

    def __init__(self):
        self.spans, self.bodies, self.headers = [], [], []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                collector.receive(
                    self.path, self.headers, self.rfile.read(int(self.headers["Content-Length"]))
                )
                self.send_response(OK)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def receive(self, path, headers, body):
        assert path == "/v1/traces"
        request = ExportTraceServiceRequest.FromString(body)
        found = []
        for resource in request.resource_spans:
            named = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
            found += [Span(named["service.name"], s) for scope in resource.scope_spans for s in scope.spans]
        self.spans += found
        self.bodies.append(body)
        self.headers.append(str(headers))

    def of(self, trace, name=None, **attributes):
        wanted = {key.replace("cto_", "cto."): value for key, value in attributes.items()}
        return [
            span
            for span in list(self.spans)
            if span.trace == trace and name in {None, span.name} and wanted.items() <= span.attributes.items()
        ]

    def of_job(self, job_id):
        return [span for span in list(self.spans) if span.attributes.get("cto.job_id") == job_id]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def trace():
    """The id of a new trace."""
    return uuid4().hex


@pytest.fixture(scope="module")
def collector():
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture(scope="module")
def system(collector):
    """A system with slow steps, two at a time, and a lease of 3 s. It sends its spans at once."""
    settings = {
        "CTO_PAPER_LATENCY_MS": "300",
        "CTO_OPERATION_PARALLELISM": "2",
        "CTO_LEASE_MS": "3000",
        "CTO_OTLP_ENDPOINT": collector.url,
    }
    system = System(environment(**settings, **OFTEN), "--no-flower").ready()
    yield system
    system.close()


def traceparent(trace):
    return {"traceparent": f"00-{trace}-{CALLER}-01"}


@contextmanager
def silent_collector():
    """Yield the address of a server that accepts connections, and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def submit(system, headers=None, **changes):
    body = operation(**({"mode": "standard"} | changes))
    return requests.post(f"{system.url}/api/cto/jobs", json=body, headers=headers, timeout=10)


def only(spans):
    assert len(spans) == 1, spans
    return spans[0]


def test_a_trace_connects_the_request_with_each_buy_and_contains_no_secret(launch, opened, trace):
    of_user = token("7")
    collector = opened(Collector())
    system = launch(
        "--no-flower",
        **GUARDED,
        CTO_OTLP_ENDPOINT=collector.url,
        OTEL_BSP_SCHEDULE_DELAY="600000",  # gateway and worker send their spans when they stop
    ).ready()
    answer = submit(system, bearer(of_user) | traceparent(trace), platform="pumpfun")
    assert answer.status_code == 202, answer.text
    job_id = answer.json()["data"]["jobId"]
    wait_until(lambda: "completed: " in system.output())
    system.stop()

    run = only(collector.of(trace, "cto.run"))
    request = only(collector.of(trace, "POST /api/cto/jobs"))
    assert (request.service, request.parent, request.failed) == ("cto-gateway", CALLER, False)
    assert request.attributes["http.response.status_code"] == 202
    created = only(collector.of(trace, "create job", cto_job_id=job_id))
    sent = only(collector.of(trace, "send cto"))
    assert created.parent == sent.parent == request.id
    assert (run.service, run.parent) == ("cto-worker", created.id)
    about = {"cto.job_id": job_id, "cto.attempt": 1, "cto.mode": "standard", "cto.platform": "pumpfun"}
    assert about.items() <= run.attributes.items()
    phases = [only(collector.of(trace, f"cto.{name}")) for name in ("validating", "detecting", "executing")]
    assert {phase.parent for phase in phases} == {run.id}
    steps = collector.of(trace, "cto.transfer") + collector.of(trace, "cto.buy")
    assert len(steps) == 4
    for step in steps:
        assert step.parent == phases[-1].id
        assert (step.attributes["cto.outcome"], step.attributes["cto.attempt"]) == ("confirmed", 1)
        assert step.attributes["cto.intent_id"].startswith(f"{job_id}:")
    calls = [
        span for span in collector.spans if span.parent == phases[-1].id and "cto.orders" in span.attributes
    ]
    for name in ("prepare", "record intents", "submit"):
        assert [call.attributes["cto.orders"] for call in calls if call.name == name] == [2, 2], name
    assert "outcomes" in {call.name for call in calls}
    assert {span.trace for span in collector.spans} == {trace}

    everything = b"".join(collector.bodies)
    worker = [line for line in system.output().splitlines() if line.startswith("worker") and job_id in line]
    assert len(worker) == 2
    assert all(f"trace_id={trace}" in line for line in worker)
    for secret in (of_user, SECRET, "Bearer"):
        assert secret.encode() not in everything


def test_a_takeover_continues_the_trace(system, collector, trace):
    job_id = submit(system, traceparent(trace), walletCount=4).json()["data"]["jobId"]
    wait_until(lambda: collector.of(trace, "cto.transfer", cto_attempt=1))
    worker = worker_of(system)
    os.kill(worker, signal.SIGKILL)
    page = system.ended(job_id)
    assert page["status"] == "completed"
    run = only(wait_until(lambda: collector.of(trace, "cto.run")))
    assert run.attributes["cto.attempt"] > 1
    created = only(collector.of(trace, "create job"))
    assert run.parent == created.id
    buys = wait_until(lambda: len(found := collector.of(trace, "cto.buy")) == 4 and found)
    assert {buy.attributes["cto.job_id"] for buy in buys} == {job_id}
    assert {span.trace for span in collector.of_job(job_id)} == {trace}


def worker_of(system):
    """Return the process id of the worker."""
    pid = system.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return next(
        int(child) for child in children if b"cto_worker.app" in Path(f"/proc/{child}/cmdline").read_bytes()
    )


def test_a_hand_over_continues_the_trace(system, collector, trace):
    job_id = submit(system, traceparent(trace), walletCount=4).json()["data"]["jobId"]
    wait_until(lambda: collector.of(trace, "cto.transfer"))
    os.kill(worker_of(system), signal.SIGTERM)
    assert system.ended(job_id)["status"] == "completed"
    wait_until(lambda: collector.of(trace, "cto.run", cto_outcome="completed"))
    runs = collector.of(trace, "cto.run")
    created = only(collector.of(trace, "create job"))
    assert {run.parent for run in runs} == {created.id}
    runs.sort(key=lambda run: run.attributes["cto.attempt"])
    *before, last = [run.attributes["cto.outcome"] for run in runs]
    assert set(before) == {"Handover"}  # twice if the stopping worker received the message again
    assert last == "completed"
    assert not any(run.failed for run in runs)


def test_jobs_sent_by_task_name_or_from_python_are_traced(system, collector, trace):
    body = operation(buyAmount=1_000)
    app = celery_app(system.settings)
    app.send_task(keys.TASK_NAME, args=[body], task_id=str(uuid4()), headers=traceparent(trace))
    app.close()
    run = only(wait_until(lambda: collector.of(trace, "cto.run")))
    assert only(collector.of(trace, "create job")).parent == CALLER
    first = system.get(f"/api/cto/job/{run.attributes['cto.job_id']}/events")["events"][0]
    assert first["details"]["traceId"] == trace
    assert (run.failed, run.status, run.attributes["cto.outcome"]) == (
        True,
        "insufficient_funds",
        "insufficient_funds",
    )
    done = subprocess.run(
        [sys.executable, "-c", ENQUEUE, json.dumps(body)],
        env=system.env,
        capture_output=True,
        text=True,
        check=True,
    )
    job_id = done.stdout.strip()
    run = only(wait_until(lambda: [span for span in collector.of_job(job_id) if span.name == "cto.run"]))
    created = only([span for span in collector.of(run.trace, "create job") if span.id == run.parent])
    assert created.service == "cto-client"


@pytest.mark.parametrize("collector_is", ["silent", "unreachable"])
def test_a_collector_that_does_not_answer_delays_nothing(launch, collector_is):
    with silent_collector() as silent:
        endpoint = silent if collector_is == "silent" else "http://127.0.0.1:9"
        system = launch("--no-flower", CTO_OTLP_ENDPOINT=endpoint, **OFTEN).ready()
        job_ids, longest_s = [], 0.0
        for _ in range(40):
            begun_s = time.monotonic()
            job_ids.append(submit(system, walletCount=1, slippageBps=10_000).json()["data"]["jobId"])
            longest_s = max(longest_s, time.monotonic() - begun_s)
        assert longest_s < 2  # a gateway that waits for the collector would block for ten
        for job_id in job_ids:
            assert system.ended(job_id)["status"] == "completed"
        begun_s = time.monotonic()
        assert system.stop() == 0
        assert time.monotonic() - begun_s < 14  # the supervisor killed no process
    output = system.output()
    warnings = [line for line in output.splitlines() if "Transient error" in line or "batch" in line]
    assert len(warnings) <= 2, warnings  # one of the gateway, one of the worker
    assert "Traceback" not in output
    if collector_is == "unreachable":
        assert len(warnings) == 2, output
