"""Who is let in, and to what: every route and every message of a socket, for everybody who may come."""

from __future__ import annotations

import json
import shutil
import time

import pytest
import requests
import socketio
import websocket
from acceptance.conftest import MINT, System, environment
from tokens import AUDIENCE, SECRET, token, unsigned
from waiting import wait_until

from api import streams, websockets
from api.app import create_app
from api.auth import PUBLIC, Gate
from api.relay import Relay
from api.revocations import Revocations
from api.sockets import make_socketio, register
from cto_worker.config import Settings
from cto_worker.history import History
from cto_worker.store import connect

STRANGERS = {
    "no token": None,
    "garbage": "garbage",
    "alg none": unsigned(),
    "wrong key": token(key="another secret that is long enough to be one of HS256"),
    "expired": token(exp=time.time() - 60),
    "no exp": token(exp=None),
    "wrong audience": token(aud="others"),
}
CALLERS = {
    "user A": token("A"),
    "user B": token("B"),
    "admin": token("root", role="admin"),
    "service": token("bot", role="service"),
}
ALL, EXCEPT_B = set(CALLERS), set(CALLERS) - {"user B"}
OPERATORS = {"admin", "service"}

# Each route, what is sent to it, and who is allowed it; A has a job, and everything here is about A.
ROUTES = {
    ("POST", "/api/cto/jobs"): {"user A", "service"},
    ("GET", "/api/cto/jobs"): EXCEPT_B,
    ("GET", "/api/cto/jobs/stats"): ALL,  # what one may not see is not found
    ("GET", "/api/cto/job/<job_id>/status"): EXCEPT_B,
    ("GET", "/api/cto/job/<job_id>/latest"): EXCEPT_B,
    ("GET", "/api/cto/job/<job_id>/events"): EXCEPT_B,
    ("POST", "/api/cto/job/<job_id>/cancel"): EXCEPT_B,
    ("GET", "/api/cto/job/<job_id>/stream"): EXCEPT_B,
    ("GET", "/api/cto/stream"): EXCEPT_B,
    ("GET", "/ws"): ALL,  # to be let in; each room is asked for in there
}
# Each message of a socket, with what it says about A's job, and who is allowed it.
MESSAGES = {
    ("join_room", "user_A"): EXCEPT_B,
    ("join_room", "job_{job}"): EXCEPT_B,
    ("join_room", "admin_launches"): OPERATORS,
    ("leave_room", "user_A"): ALL,
    ("resume", "{job}"): EXCEPT_B,
}


@pytest.fixture(scope="module")
def guarded():
    """A system that wants tokens, and a job of A's in it that has ended."""
    env = environment(CTO_AUTH="required", CTO_JWT_SECRET=SECRET, CTO_JWT_AUDIENCE=AUDIENCE)
    system = System(env, "--no-flower").ready()
    created = requests.post(
        f"{system.url}/api/cto/jobs", json=request_of("A"), headers=bearer(CALLERS["user A"]), timeout=10
    )
    system.job = created.json()["data"]["jobId"]
    yield system
    assert system.stop() == 0
    said = system.said()
    for text in [*filter(None, STRANGERS.values()), *CALLERS.values()]:
        assert text == "garbage" or text not in said
    shutil.rmtree(env["CTO_DATA_DIR"])


def request_of(user):
    return {
        "tokenAddress": MINT,
        "userId": user,
        "userChatId": 1,
        "mode": "prefunded",
        "buyAmount": 0.05,
        "walletCount": 2,
    }


def bearer(text):
    return {} if text is None else {"Authorization": f"Bearer {text}"}


def ask(system, method, rule, text):
    """Send a request about A as whoever has this token; return its status and its error's code."""
    path = rule.replace("<job_id>", system.job)
    about_a = path in {"/api/cto/jobs", "/api/cto/stream"} and method == "GET"
    answer = requests.request(
        method,
        system.url + path,
        params={"userId": "A"} if about_a else {"jobIds": system.job} if path.endswith("stats") else {},
        json=request_of("A") if (method, path) == ("POST", "/api/cto/jobs") else None,
        headers=bearer(text) | ({"Idempotency-Key": "matrix"} if method == "POST" else {}),
        timeout=10,
        stream=True,
    )
    with answer:
        if "event-stream" in answer.headers["Content-Type"]:
            return answer.status_code, None
        document = answer.json()
        assert document["success"] or set(document["error"]) <= {"code", "message", "details"}
        return answer.status_code, document.get("error", {}).get("code")


def handshake(system, text):
    """Open a WebSocket at /ws; return its status."""
    address = system.url.replace("http", "ws", 1) + "/ws"
    try:
        websocket.create_connection(address, header=bearer(text), timeout=10).close()
    except websocket.WebSocketBadStatusException as error:
        return error.status_code, json.loads(error.resp_body)["error"]["code"]
    return 200, None


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_no_stranger_gets_anything_from_a_route(guarded, route):
    for who, text in STRANGERS.items():
        status, code = handshake(guarded, text) if route[1] == "/ws" else ask(guarded, *route, text)
        expected = {"no token": "unauthorized", "expired": "token_expired"}.get(who, "invalid_token")
        assert (status, code) == (401, expected), who


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_a_route_is_for_whom_the_matrix_says(guarded, route):
    wait_until(lambda: ask(guarded, "POST", "/api/cto/job/<job_id>/cancel", CALLERS["admin"])[0] == 409)
    for who, text in CALLERS.items():
        status, code = handshake(guarded, text) if route[1] == "/ws" else ask(guarded, *route, text)
        if who in ROUTES[route]:
            assert status < 300 or code == "job_ended", (who, status, code)
        else:
            assert (status, code) in {
                (403, "forbidden"),
                (403, "user_mismatch"),
                (404, "job_not_found"),
            }, who


def test_what_one_may_not_see_is_not_even_counted(guarded):
    of_a, of_nobody = (
        requests.get(
            f"{guarded.url}/api/cto/jobs/stats",
            params={"jobIds": job_id},
            headers=bearer(CALLERS["user B"]),
            timeout=10,
        ).json()["data"]
        for job_id in (guarded.job, "unknown")
    )
    assert of_a == of_nobody


def test_nobody_sends_events_into_a_strangers_room(guarded):
    answer = requests.post(
        f"{guarded.url}/api/cto/jobs",
        json=request_of("B") | {"socketUserId": "A"},
        headers=bearer(CALLERS["user B"]),
        timeout=10,
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")


class Socket:
    """A stock Socket.IO client; ``connect`` returns the refusal's code, or ``None``."""

    def __init__(self, system, text, transport="websocket", **auth):
        self.client = socketio.SimpleClient()
        self.refusals = []
        self.inner = socketio.Client(reconnection=False)
        self.inner.on("connect_error", self.refusals.append)
        self.events = []
        self.inner.on("worker_progress", self.events.append)
        self.inner.on("auth_expired", lambda told: self.events.append({"expired": told}))
        try:
            self.inner.connect(system.url, auth={"token": text, **auth}, transports=[transport])
        except socketio.exceptions.ConnectionError:
            self.refused = self.refusals[0]["data"]["code"]
        else:
            self.refused = None

    def ask(self, name, said):
        answer = self.inner.call(name, said, timeout=10)
        return None if answer["success"] else answer["error"]["code"]

    def close(self):
        self.inner.disconnect()
        self.inner.wait()


class Plain:
    """The same over the plain WebSocket."""

    def __init__(self, system, text, **_):
        address = system.url.replace("http", "ws", 1) + f"/ws?token={text}"
        self.socket = websocket.create_connection(address, timeout=10)

    def ask(self, name, said):
        kind = name.removesuffix("_room")
        self.socket.send(json.dumps({"type": kind, **(said if isinstance(said, dict) else {"room": said})}))
        while (answer := json.loads(self.socket.recv()))["type"] == "worker_progress":
            pass
        return answer["code"] if answer["type"] == "error" else None

    def close(self):
        self.socket.close()


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_no_stranger_gets_into_the_namespace(guarded, transport):
    for who, text in STRANGERS.items():
        socket = Socket(guarded, text, transport)
        expected = {"no token": "unauthorized", "expired": "token_expired"}.get(who, "invalid_token")
        assert socket.refused == expected, who
        socket.close()


@pytest.mark.parametrize("door", [Socket, Plain])
def test_a_message_is_for_whom_the_matrix_says(guarded, door):
    for who, text in CALLERS.items():
        client = door(guarded, text)
        for (name, about), allowed in MESSAGES.items():
            about_job = about.replace("{job}", guarded.job)
            said = {"jobId": guarded.job, "after": 0} if name == "resume" else about_job
            code = client.ask(name, said)
            expected = None if who in allowed else {"forbidden", "job_not_found"}
            assert code is None if expected is None else code in expected, (who, name, about, code)
        client.close()


def test_a_user_id_beside_a_token_must_be_its_own(guarded):
    right, wrong = (Socket(guarded, CALLERS["user A"], userId=user) for user in ("A", "B"))
    assert (right.refused, wrong.refused) == (None, "user_mismatch")
    right.close()
    wrong.close()
    address = guarded.url.replace("http", "ws", 1) + f"/ws?userId=B&token={CALLERS['user A']}"
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        websocket.create_connection(address, timeout=10)


def test_a_token_may_come_in_the_address_where_a_browser_has_no_other_way(guarded):
    stream = f"{guarded.url}/api/cto/stream?token={CALLERS['user A']}"
    with requests.get(stream, stream=True, timeout=10) as answer:
        assert answer.status_code == 200
    client = socketio.Client(reconnection=False)
    client.connect(f"{guarded.url}?token={CALLERS['user A']}&userId=A")
    assert client.call("join_room", "user_A")["success"]
    client.disconnect()
    rest = f"{guarded.url}/api/cto/jobs?token={CALLERS['user A']}"
    assert requests.get(rest, timeout=10).status_code == 401


@pytest.fixture
def whole():
    """The application and its Socket.IO server, as they are put together, to be looked at only."""
    settings = Settings(jwt_secret=SECRET)
    store = connect(settings)
    gate, history = Gate(settings, Revocations(store).revoked), History(store)
    app = create_app(settings, gate, store, None, None)
    socketio_server = make_socketio(app, settings, async_mode="threading")
    relay = Relay(store, history)
    register(socketio_server, relay, history, settings, gate)
    app.register_blueprint(streams.blueprint(relay, history))
    app.register_blueprint(websockets.blueprint(relay, history, settings, lambda _: None))
    return app, socketio_server.server


def test_every_route_is_in_the_matrix_or_public(whole):
    app, _ = whole
    routes = {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.endpoint not in PUBLIC
    }
    assert routes == set(ROUTES)


def test_every_message_of_a_socket_is_in_the_matrix(whole):
    _, server = whole
    handled = set(server.handlers["/"]) - {"connect", "disconnect"}
    assert handled == {name for name, _ in MESSAGES}


def test_who_asks_too_often_is_told_when_to_come_again(launch):
    system = launch(
        "--no-flower",
        CTO_AUTH="required",
        CTO_JWT_SECRET=SECRET,
        CTO_JWT_AUDIENCE=AUDIENCE,
        CTO_RATE_LIMIT="20/hour",
    ).ready()

    def asked(path="/api/cto/jobs", **headers):
        return requests.get(system.url + path, headers=headers, timeout=10)

    first = asked(**bearer(CALLERS["user A"]))
    assert (first.status_code, first.headers["X-RateLimit-Remaining"]) == (200, "19")
    assert "Retry-After" not in first.headers
    for _ in range(19):
        assert asked(**bearer(CALLERS["user A"])).status_code == 200
    refused = asked(**bearer(CALLERS["user A"]))
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited")
    assert 0 < int(refused.headers["Retry-After"]) <= 3_600
    assert asked(**bearer(CALLERS["user B"])).status_code == 200
    for _ in range(30):
        assert asked(**bearer(CALLERS["service"])).status_code == 200
        assert asked("/healthz").status_code == 200
    statuses = [asked(**bearer("guess")).status_code for _ in range(21)]
    assert statuses == [401] * 20 + [429]


def test_the_command_line_is_the_service_for_who_can_sign_and_else_the_bearer_of_a_token(guarded):
    done = guarded.cto("submit", "--user", "A", "--watch")
    assert done.returncode == 0, done.stderr
    assert "completed" in done.stdout
    user = guarded.cto("token", "--user", "B").stdout.strip()
    guarded.env["CTO_TOKEN"] = user
    try:
        assert guarded.job not in guarded.cto("jobs").stdout
        refused = guarded.cto("submit", "--user", "A")
        assert (refused.returncode, "forbidden" in refused.stderr) == (1, True)
        assert guarded.cto("submit", "--user", "B", "--watch").returncode == 0
    finally:
        del guarded.env["CTO_TOKEN"]
    assert guarded.job in guarded.cto("jobs").stdout
    elsewhere = guarded.cto("jobs", "--url", guarded.url.replace("127.0.0.1", "localhost"))
    assert "unauthorized" in elsewhere.stderr  # what is signed here is shown to nobody else


def test_a_revoked_token_and_a_revoked_users_tokens_are_refused_within_a_second(guarded):
    def status(text):
        return requests.get(f"{guarded.url}/api/cto/jobs", headers=bearer(text), timeout=10).status_code

    of_carol, of_dave = (guarded.cto("token", "--user", user).stdout.strip() for user in ("carol", "dave"))
    named = token("erin", jti="one")
    assert [status(text) for text in (of_carol, of_dave, named)] == [200, 200, 200]
    assert guarded.cto("revoke", "--user", "carol").returncode == 0
    assert guarded.cto("revoke", "--jti", "one").returncode == 0
    wait_until(lambda: (status(of_carol), status(named)) == (401, 401), timeout_s=1)
    assert status(of_dave) == 200
    assert status(token("erin", jti="two")) == 200
    assert status(token("carol", iat=time.time() + 2)) == 200  # issued afterwards
    assert Socket(guarded, of_carol).refused == "token_revoked"
