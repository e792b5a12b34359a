"""Random input: responses match the documents, and show no job of another user."""

from __future__ import annotations

import json
import os
import re
import shutil
from copy import deepcopy
from pathlib import Path

import pytest
import requests
import schemathesis
import websocket
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from support.clients import WebSocketClient
from support.processes import environment
from support.samples import MINT, operation
from support.system import System
from support.tokens import GUARDED, bearer, token

from api.spec import asyncapi, openapi

A, B = "fuzzer", "victim"
ROOMY = GUARDED | {
    "CTO_RATE_LIMIT": "1000000/minute",
    "CTO_MAX_USER_SOCKETS": "1000",
}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# A number in this query may be a job id, which the generator counts as wrong.
LENIENT = {"/api/cto/jobs/stats"}
ANY_TEXT = {"GET /operations/{jobId}"}  # the console opens at every address: no case is invalid
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))  # of each kind; `make soak` tries more
# The same examples each time, so that a failure can be repeated.
BOUNDED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CONFIG = schemathesis.Config.from_path(Path(__file__).parent / "schemathesis.toml")
# A copy: schemathesis adds the links that it infers to the document.
SCHEMA = schemathesis.openapi.from_dict(deepcopy(openapi.document()), config=CONFIG)
OPERATIONS = {result.ok().label: result.ok() for result in SCHEMA.get_all_operations()}


@pytest.fixture(scope="module")
def guarded():
    """A system with two users. A sends the requests; the jobs of B must stay hidden."""
    env = environment(**ROOMY)
    system = System(env, "--no-flower").ready()
    system.jobs = {user: [submit(system, user), submit(system, user)] for user in (A, B)}
    yield system
    assert system.stop() == 0
    assert "Traceback" not in system.output()
    shutil.rmtree(env["CTO_DATA_DIR"])


def submit(system, user):
    body = operation(userId=user, walletCount=None)
    answer = requests.post(f"{system.url}/api/cto/jobs", json=body, headers=bearer(token(user)), timeout=10)
    return answer.json()["data"]["jobId"]


def send(system, case):
    """Send a case as A. Of a stream, which does not end, only the first chunk is read."""
    asked = case.as_transport_kwargs(base_url=system.url, headers=bearer(token(A)))
    with requests.request(**asked, stream=True, timeout=10) as answer:
        if answer.headers.get("Content-Type", "").startswith("text/event-stream"):
            answer._content = next(answer.iter_content(None), b"")
        return Response.from_any(answer)


def check(system, case, answer, *, wrong=False):
    refused = [negative_data_rejection] if wrong and case.operation.path not in LENIENT else []
    case.validate_response(answer, checks=[*CHECKS, *refused])
    text = answer.content.decode(errors="replace")  # an archive is no text
    # The id of a stream is the cursor that its client has sent.
    shown = re.sub(r"^id: .*$", "", text, flags=re.MULTILINE) if answer.status_code < 300 else ""
    assert not [secret for secret in [B, *system.jobs[B]] if secret in shown]


def name_others(case, system, data):
    """Put existing jobs and users, and a possible token address, into a case."""
    jobs = st.sampled_from([*system.jobs[A], *system.jobs[B]])
    named = {
        "jobId": jobs,
        "jobIds": st.lists(jobs, min_size=1, max_size=5),
        "userId": st.sampled_from([A, A, B]),
        "socketUserId": st.sampled_from([A, A, B]),
        "after": st.sampled_from(["0", "-", *(f"{job}:1" for job in system.jobs[B])]),
        "tokenAddress": st.just(MINT),
    }
    for container in (case.path_parameters, case.query, case.body):
        for name in sorted(set(container or ()) & set(named)) if isinstance(container, dict) else ():
            if data.draw(st.integers(0, 3)):
                container[name] = data.draw(named[name])


# Each kind of case of each operation. An operation without parameters has only valid cases.
KINDS = [
    (label, mode)
    for label, operation in OPERATIONS.items()
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE
    or (label not in ANY_TEXT and operation.definition.raw.keys() & {"parameters", "requestBody"})
]


@pytest.mark.parametrize(("label", "mode"), KINDS, ids=[f"{label} {mode.value}" for label, mode in KINDS])
def test_every_response_matches_the_document_and_shows_no_job_of_others(guarded, label, mode):
    cases = OPERATIONS[label].as_strategy(generation_mode=mode)

    @BOUNDED
    @given(st.data())
    def fuzz(data):
        case = data.draw(cases)
        wrong = mode is GenerationMode.NEGATIVE
        if not wrong:
            name_others(case, guarded, data)
        check(guarded, case, send(guarded, case), wrong=wrong)

    fuzz()


def test_linked_requests_match_the_document(guarded):
    class Following(SCHEMA.as_state_machine()):
        def before_call(self, case):
            """Make most submissions succeed, and independent of each other."""
            case.headers.pop("Idempotency-Key", None)
            if isinstance(case.body, dict):
                case.body |= {"userId": A, "tokenAddress": MINT, "buyAmount": 0.1}
                for name in ("wallets", "socketUserId"):
                    case.body.pop(name, None)

        def call(self, case, **_):
            return send(guarded, case)

        def validate_response(self, response, case, **_):
            check(guarded, case, response)

    Following.run(settings=settings(BOUNDED, max_examples=20, stateful_step_count=8))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
OVERSIZED = 40_000


class Wire:
    """A WebSocket of A that sends any frame. It reconnects when the server has closed it."""

    def __init__(self, system, path, first=""):
        self.address = system.url.replace("http", "ws", 1) + path
        self.first = first
        self.received = []
        self.socket = None

    def send(self, payload, opcode=websocket.ABNF.OPCODE_TEXT):
        """Send a frame, and receive until the server has handled it, or has closed the connection."""
        if self.socket is None:
            self.socket = websocket.create_connection(self.address, header=bearer(token(A)), timeout=10)
            if self.first:
                self.send(self.first)
        try:
            self.socket.send_frame(websocket.ABNF.create_frame(payload, opcode))
            self.socket.ping()
            while (frame := self.socket.recv_frame()).opcode != websocket.ABNF.OPCODE_PONG:
                if frame.opcode == websocket.ABNF.OPCODE_CLOSE:
                    self.close()
                    return
                if frame.opcode == websocket.ABNF.OPCODE_TEXT:
                    self.received.append(frame.data.decode())
        except (OSError, websocket.WebSocketConnectionClosedException):
            self.close()

    def close(self):
        if self.socket:
            self.socket.shutdown()
        self.socket = None


@pytest.fixture
def bystander(guarded, opened):
    """A client of B in its own room."""
    return opened(WebSocketClient(guarded, f"user_{B}", token=token(B)))


def assert_served(guarded, bystander):
    job_id = submit(guarded, B)
    bystander.wait_for(
        lambda client: any(e["jobId"] == job_id and e["phase"] == 5 for e in events_of(client))
    )
    assert bystander.status is None


def events_of(client):
    return [line["event"] for line in client.received("worker_progress")]


def rooms_and_jobs(system):
    jobs = st.sampled_from([*system.jobs[A], *system.jobs[B]])
    rooms = (
        st.sampled_from([f"user_{A}", f"user_{B}", "admin_launches"]) | jobs.map("job_{}".format) | st.text()
    )
    return jobs, rooms


def check_message(schema, message):
    """Check that a message matches its schema, and shows nothing of B."""
    components = asyncapi.document()["components"]
    Draft202012Validator(schema | {"components": components}).validate(message)
    assert "internal_error" not in str(message)
    if "event" in message or "events" in message:
        assert B not in str(message)


def messages(channel):
    return {
        name: message["payload"]
        for name, message in asyncapi.document()["channels"][channel]["messages"].items()
    }


def test_random_websocket_frames_are_answered_as_documented(guarded, bystander):
    described = messages("websocket")
    jobs, rooms = rooms_and_jobs(guarded)
    message = st.fixed_dictionaries(
        {"type": st.sampled_from(["join", "leave", "resume", "auth_refresh", "ping"]) | JSON},
        optional={
            "room": rooms | JSON,
            "jobId": jobs | JSON,
            "after": st.integers(-1, 9) | JSON,
            "token": st.sampled_from([token(A), token(B)]) | JSON,
            "id": st.integers(),
        },
    )
    text = (message | JSON).map(json.dumps) | st.text(max_size=40) | st.just(" " * OVERSIZED)
    sent = st.tuples(
        text.map(str.encode) | st.binary(max_size=40), st.sampled_from([1, 1, 1, 1, 2, 0, 8, 9, 10])
    )
    wire = Wire(guarded, "/ws")

    @BOUNDED
    @given(sent)
    def fuzz(sent):
        wire.send(*sent)
        while wire.received:
            answer = json.loads(wire.received.pop())
            check_message(described[answer["type"]], answer)

    fuzz()
    wire.close()
    assert_served(guarded, bystander)


def test_random_socketio_packets_are_answered_as_documented(guarded, bystander):
    described = messages("socketio")
    jobs, rooms = rooms_and_jobs(guarded)
    point = st.fixed_dictionaries({"jobId": jobs | JSON, "after": st.integers(-1, 9) | JSON})
    argument = rooms | point | st.fixed_dictionaries({"token": st.just(token(B)) | JSON}) | JSON
    name = st.sampled_from(["join_room", "leave_room", "resume", "auth_refresh", "connect", "disconnect"])
    event = st.builds(
        lambda number, name, arguments: f"42{number}{json.dumps([name, *arguments])}",
        st.sampled_from(["", "7", "99999999999"]),
        name | JSON,
        st.lists(argument, max_size=2),
    )
    packet = st.builds(
        "{}{}".format, st.sampled_from(["4", "42", "45", "451-", "43", "40", "41", "6", ""]), st.text()
    )
    text = event | event | event | packet | st.just("42" + " " * OVERSIZED)
    sent = st.tuples(text.map(str.encode) | st.binary(max_size=40), st.sampled_from([1, 1, 1, 1, 1, 2, 0, 8]))
    answers = {
        "anyOf": [described[name] for name in ("room_changed", "resumed", "auth_refreshed", "refusal")]
    }
    wire = Wire(guarded, "/socket.io/?EIO=4&transport=websocket", "40")

    @BOUNDED
    @given(sent)
    def fuzz(sent):
        wire.send(*sent)
        while wire.received:
            message = wire.received.pop()
            if message.startswith("42"):
                name, argument = json.loads(message[2:])
                check_message(described[name], argument)
            elif message.startswith("43"):
                check_message(answers, json.loads(message[message.index("[") :])[0])

    fuzz()
    wire.close()
    assert_served(guarded, bystander)
