"""Who is let in, and to what: every route and every message of a socket, for everybody who may come."""

from __future__ import annotations

import json
import shutil
import threading
import time

import pytest
import requests
import socketio
import websocket
from acceptance.conftest import MINT, EventStream, PlainSocket, System, environment
from support.tokens import AUDIENCE, SECRET, token, unsigned
from support.waiting import assert_stays, wait_until

from api.app import create_app
from api.auth.authentication import PUBLIC, Authenticator
from api.auth.revocations import Revocations, revoke
from api.limits.fair_semaphore import FairSemaphore
from api.realtime import sse, websocket_route
from api.realtime.connections import Connections
from api.realtime.sessions import SessionService
from api.realtime.socketio import make_socketio, register
from api.relay.relay import Relay
from api.rest import metrics_endpoint
from cto_worker.config import Settings
from cto_worker.observability.heartbeat import read
from cto_worker.store.connection import connect
from cto_worker.store.history import History

MARGIN_S = 1.0  # what a busy machine may add to a time that is promised
GUARDED = {"CTO_AUTH": "required", "CTO_JWT_SECRET": SECRET, "CTO_JWT_AUDIENCE": AUDIENCE}
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
    ("GET", "/metrics"): OPERATORS,
    ("GET", "/ws"): ALL,  # to be let in; each room is asked for in there
}
# Each message of a socket, with what it says about A's job, and who is allowed it.
MESSAGES = {
    ("join_room", "user_A"): EXCEPT_B,
    ("join_room", "job_{job}"): EXCEPT_B,
    ("join_room", "admin_launches"): OPERATORS,
    ("leave_room", "user_A"): ALL,
    ("resume", "{job}"): EXCEPT_B,
    ("auth_refresh", "the same token"): ALL,
}


@pytest.fixture(scope="module")
def guarded():
    """A system that wants tokens, and a job of A's in it that has ended."""
    env = environment(**GUARDED)
    system = System(env, "--no-flower").ready()
    created = requests.post(
        f"{system.url}/api/cto/jobs",
        json=request_from_event("A"),
        headers=bearer(CALLERS["user A"]),
        timeout=10,
    )
    system.job = created.json()["data"]["jobId"]
    yield system
    assert system.stop() == 0
    said = system.said()
    for text in [*filter(None, STRANGERS.values()), *CALLERS.values()]:
        assert text == "garbage" or text not in said
    shutil.rmtree(env["CTO_DATA_DIR"])


def request_from_event(user):
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
    path = rule.replace("<job_id>", getattr(system, "job", ""))
    about_a = path in {"/api/cto/jobs", "/api/cto/stream"} and method == "GET"
    answer = requests.request(
        method,
        system.url + path,
        params={"userId": "A"} if about_a else {"jobIds": system.job} if path.endswith("stats") else {},
        json=request_from_event("A") if (method, path) == ("POST", "/api/cto/jobs") else None,
        headers=bearer(text) | ({"Idempotency-Key": "matrix"} if method == "POST" else {}),
        timeout=10,
        stream=True,
    )
    with answer:
        if answer.headers["Content-Type"].startswith("text/"):
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
        json=request_from_event("B") | {"socketUserId": "A"},
        headers=bearer(CALLERS["user B"]),
        timeout=10,
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")


class Socket:
    """A stock Socket.IO client; ``connect`` returns the refusal's code, or ``None``."""

    def __init__(self, system, text, transport="websocket", **auth):
        self.refusals = []
        self.inner = socketio.Client(reconnection=False)
        self.inner.on("connect_error", self.refusals.append)
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
            said = {
                "resume": {"jobId": guarded.job, "after": 0},
                "auth_refresh": {"token": text},
            }.get(name, about_job)
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
    authenticator, history = Authenticator(settings, Revocations(store).revoked), History(store)
    app = create_app(settings, authenticator, store, None, None)
    socketio_server = make_socketio(app, async_mode="threading")
    sessions = SessionService(
        authenticator, Connections(None, 1), FairSemaphore(), Relay(store, history), history
    )
    register(socketio_server, sessions)
    app.register_blueprint(sse.blueprint(sessions))
    app.register_blueprint(websocket_route.blueprint(sessions, lambda _: None, 1))
    app.register_blueprint(metrics_endpoint.blueprint(lambda: read(store), history.backlog))
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
        **GUARDED,
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
    of_admin = guarded.cto("token", "--user", "ops", "--role", "admin").stdout.strip()
    assert ask(guarded, "GET", "/metrics", of_admin) == (200, None)
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


DOORS = [("socketio", "websocket"), ("socketio", "polling"), ("plain", ""), ("stream", "")]


class SocketIO:
    """Somebody in A's room: what it is told beside events, and whether it may stay."""

    def __init__(self, system, transport, text):
        self.codes, self.gone = [], threading.Event()
        self.client = socketio.Client(reconnection=False)
        self.client.on("auth_expired", lambda told: self.codes.append(told["code"]))
        self.client.on("disconnect", lambda *_: self.gone.set())
        self.client.connect(system.url, auth={"token": text}, transports=[transport])
        assert self.client.call("join_room", "user_A")["success"]

    def told(self):
        return self.codes

    def ended(self):
        return self.gone.is_set()

    def refresh(self, text):
        answer = self.client.call("auth_refresh", {"token": text})
        return None if answer["success"] else answer["error"]["code"]

    def close(self):
        self.client.disconnect()


class Raw(PlainSocket):
    """The same at ``/ws``."""

    def __init__(self, system, _, text):
        super().__init__(system, "user_A", token=text)

    def told(self, kind="error"):
        told = super().told(kind)
        return [line["code"] for line in told] if kind == "error" else told

    def ended(self):
        return bool(super().told("end"))

    def refresh(self, text):
        answers = len(self.lines)
        self.send(type="auth_refresh", token=text)
        self.wait_for(lambda client: len(client.lines) > answers)
        return self.lines[answers].get("code")


class Stream(EventStream):
    """The same as a stream."""

    def __init__(self, system, _, text):
        super().__init__(system, f"/api/cto/stream?userId=A&token={text}")
        assert self.response.status == 200, self.response.read()
        self.reading()

    def told(self):
        return [line["auth_expired"]["code"] for line in self.lines if "auth_expired" in line]

    def ended(self):
        return self.has_ended()


DOORS = {
    "websocket": (SocketIO, "websocket"),
    "polling": (SocketIO, "polling"),
    "plain": (Raw, ""),
    "stream": (Stream, ""),
}


def enter(system, door, text):
    kind, transport = DOORS[door]
    return kind(system, transport, text)


@pytest.mark.parametrize("door", DOORS)
def test_when_its_token_expires_a_client_is_told_and_let_stay_no_longer(guarded, opened, door):
    expires_s = int(time.time()) + 4
    client = opened(enter(guarded, door, token("A", exp=expires_s)))
    wait_until(client.ended, timeout_s=10)
    assert 0 <= time.time() - expires_s < 1 + MARGIN_S
    assert client.told() == ["token_expired"]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("what", ["token", "user"])
def test_a_revoked_client_is_cut_off_within_a_second(guarded, opened, door, what):
    name = f"{door}-{what}"
    client = opened(enter(guarded, door, token(name, role="admin", jti=name)))
    other = opened(enter(guarded, door, token("A")))
    with guarded.store() as store:
        revoke(store, **({"token_id": name} if what == "token" else {"user_id": name}), keep_s=60)
    wait_until(client.ended, timeout_s=1 + MARGIN_S)
    assert client.told() == ["token_revoked"]
    assert not other.ended()


@pytest.mark.parametrize("door", ["websocket", "polling", "plain"])
def test_a_new_token_in_time_lets_a_client_stay(guarded, opened, door):
    expires_s = int(time.time()) + 3
    client = opened(enter(guarded, door, token("A", exp=expires_s)))
    assert client.refresh(token("B")) == "user_mismatch"
    assert client.refresh(token("A", role="admin")) == "user_mismatch"
    assert client.refresh("garbage") == "invalid_token"
    assert client.refresh(token("A")) is None
    told = len(client.told())
    assert_stays(lambda: not client.ended(), expires_s + 1.5 - time.time())
    assert len(client.told()) == told


@pytest.mark.parametrize("door", DOORS)
def test_each_user_has_so_many_connections_and_no_more(launch, opened, door):
    system = launch(
        "--no-flower", **GUARDED, CTO_MAX_USER_SOCKETS="3", CTO_RATE_LIMIT="1000000/minute"
    ).ready()

    def refusal():
        if door in {"websocket", "polling"}:
            socket = Socket(system, CALLERS["user A"], door)
            socket.close()
            return socket.refused
        if door == "plain":
            return handshake(system, CALLERS["user A"])[1]
        return ask(system, "GET", "/api/cto/stream", CALLERS["user A"])[1]

    clients = [opened(enter(system, door, CALLERS["user A"])) for _ in range(3)]
    assert refusal() == "too_many_connections"
    for who in ("admin", *["service"] * 4):
        opened(enter(system, door, CALLERS[who]))
    clients[0].close()
    wait_until(lambda: refusal() is None)
