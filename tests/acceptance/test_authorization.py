"""Authorization: each route and each message of a connection, for every kind of caller."""

from __future__ import annotations

import pytest
import requests
import socketio
import websocket
from acceptance.guarded import CALLERS, INVALID, ask, handshake
from support.clients import PythonClient, WebSocketClient
from support.samples import operation
from support.tokens import SECRET, bearer
from support.waiting import wait_until

from api.auth.authentication import PUBLIC, Authenticator
from api.auth.token_revocations import Revocations
from api.flask_app import create_app
from api.history.archive_reader import archive_reader
from api.limits.fifo_semaphore import FifoSemaphore
from api.realtime import sse, websocket_route
from api.realtime.client_service import ClientService
from api.realtime.connection_registry import ConnectionRegistry
from api.realtime.socketio_transport import make_socketio, register
from api.realtime.websocket_connection import WebSocketClients
from api.relay.relay import Relay
from api.rest import metrics_endpoint
from cto_worker.config import Settings
from cto_worker.observability.heartbeat_reader import read_system_counts
from cto_worker.store.journal_queries import JournalQueries
from cto_worker.store.store_connection import connect

CODES = {"no token": "unauthorized", "expired": "token_expired"}  # of the others: invalid_token
ALL, EXCEPT_B = set(CALLERS), set(CALLERS) - {"user B"}
WATCHERS = {"admin", "service"}
OPERATORS = {"admin"}

# Each route, and the callers that may use it. User A has a job, and each request concerns user A.
ROUTES = {
    ("POST", "/api/cto/jobs"): {"user A", "service"},
    ("GET", "/api/cto/jobs"): EXCEPT_B,
    ("GET", "/api/cto/jobs.csv"): EXCEPT_B,
    ("GET", "/api/cto/jobs/summary"): EXCEPT_B,
    ("GET", "/api/cto/jobs/stats"): ALL,  # jobs of others count as not found
    ("GET", "/api/cto/wallets"): EXCEPT_B,
    ("GET", "/api/cto/job/<job_id>/status"): EXCEPT_B,
    ("GET", "/api/cto/job/<job_id>/latest"): EXCEPT_B,
    ("GET", "/api/cto/job/<job_id>/events"): EXCEPT_B,
    ("POST", "/api/cto/job/<job_id>/cancel"): EXCEPT_B,
    ("GET", "/api/cto/job/<job_id>/stream"): EXCEPT_B,
    ("GET", "/api/cto/stream"): EXCEPT_B,
    ("GET", "/api/cto/job/<job_id>/review"): OPERATORS,
    ("GET", "/api/cto/job/<job_id>/market"): OPERATORS,
    ("POST", "/api/cto/job/<job_id>/resolve"): OPERATORS,
    ("GET", "/api/cto/system"): OPERATORS,
    ("GET", "/api/cto/market"): ALL,
    ("GET", "/api/cto/audit"): OPERATORS,
    ("GET", "/metrics"): WATCHERS,
    ("GET", "/ws"): ALL,  # each room is authorized later
}
# Each message of a connection, with an argument that concerns user A's job, and the callers that may send it.
MESSAGES = {
    ("join_room", "user_A"): EXCEPT_B,
    ("join_room", "job_{job}"): EXCEPT_B,
    ("join_room", "admin_launches"): WATCHERS,
    ("leave_room", "user_A"): ALL,
    ("resume", "{job}"): EXCEPT_B,
    ("auth_refresh", "the same token"): ALL,
}


@pytest.fixture(scope="module")
def guarded(guarded):
    """A system that requires tokens, with an ended job of user A."""
    created = requests.post(
        f"{guarded.url}/api/cto/jobs",
        json=operation(userId="A"),
        headers=bearer(CALLERS["user A"]),
        timeout=10,
    )
    guarded.job = created.json()["data"]["jobId"]
    return guarded


def answer(system, route, text):
    return handshake(system, text) if route[1] == "/ws" else ask(system, *route, text)


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_a_route_refuses_every_invalid_token(guarded, route):
    for kind, text in INVALID.items():
        assert answer(guarded, route, text) == (401, CODES.get(kind, "invalid_token")), kind


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_a_route_accepts_the_callers_of_the_matrix_only(guarded, route):
    wait_until(lambda: ask(guarded, "POST", "/api/cto/job/<job_id>/cancel", CALLERS["admin"])[0] == 409)
    refusals = {(403, "forbidden"), (403, "user_mismatch"), (404, "job_not_found")}
    for caller, text in CALLERS.items():
        status, code = answer(guarded, route, text)
        if caller in ROUTES[route]:
            assert status < 300 or code == "job_ended", (caller, status, code)
        else:
            assert (status, code) in refusals, caller


def test_jobs_of_others_are_not_counted(guarded):
    foreign, unknown = (
        requests.get(
            f"{guarded.url}/api/cto/jobs/stats",
            params={"jobIds": job_id},
            headers=bearer(CALLERS["user B"]),
            timeout=10,
        ).json()["data"]
        for job_id in (guarded.job, "unknown")
    )
    assert foreign == unknown


def test_a_user_cannot_send_events_into_the_room_of_another(guarded):
    response = requests.post(
        f"{guarded.url}/api/cto/jobs",
        json=operation(userId="B", socketUserId="A"),
        headers=bearer(CALLERS["user B"]),
        timeout=10,
    )
    assert (response.status_code, response.json()["error"]["code"]) == (403, "forbidden")


def connected(system, text, transport="websocket", **auth):
    return PythonClient(system.url, transport, auth={"token": text, **auth}, reconnection=False)


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_the_namespace_refuses_every_invalid_token(guarded, opened, transport):
    for kind, text in INVALID.items():
        client = opened(connected(guarded, text, transport))
        assert client.refusal == CODES.get(kind, "invalid_token"), kind


@pytest.mark.parametrize("transport", ["socketio", "ws"])
def test_a_message_is_accepted_from_the_callers_of_the_matrix_only(guarded, opened, transport):
    for caller, text in CALLERS.items():
        client = connected(guarded, text) if transport == "socketio" else WebSocketClient(guarded, token=text)
        opened(client)
        for (name, subject), allowed in MESSAGES.items():
            room = subject.replace("{job}", guarded.job)
            arguments = {"resume": {"jobId": guarded.job, "after": 0}, "auth_refresh": {"token": text}}
            code = client.call(name, arguments.get(name, room))
            expected = {None} if caller in allowed else {"forbidden", "job_not_found"}
            assert code in expected, (caller, name, subject, code)


def test_a_user_id_must_be_that_of_the_token(guarded, opened):
    right, wrong = (opened(connected(guarded, CALLERS["user A"], userId=user)) for user in ("A", "B"))
    assert (right.refusal, wrong.refusal) == (None, "user_mismatch")
    address = guarded.url.replace("http", "ws", 1) + f"/ws?userId=B&token={CALLERS['user A']}"
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        websocket.create_connection(address, timeout=10)


def test_the_address_may_contain_the_token_where_browsers_cannot_send_it_otherwise(guarded):
    stream = f"{guarded.url}/api/cto/stream?token={CALLERS['user A']}"
    with requests.get(stream, stream=True, timeout=10) as response:
        assert response.status_code == 200
    client = socketio.Client(reconnection=False)
    client.connect(f"{guarded.url}?token={CALLERS['user A']}&userId=A")
    assert client.call("join_room", "user_A")["success"]
    client.disconnect()
    rest = f"{guarded.url}/api/cto/jobs?token={CALLERS['user A']}"
    assert requests.get(rest, timeout=10).status_code == 401


def test_the_command_line_uses_the_secret_or_else_the_token_of_the_environment(guarded):
    done = guarded.cto("submit", "--user", "A", "--watch")
    assert done.returncode == 0, done.stderr
    assert "completed" in done.stdout
    guarded.env["CTO_TOKEN"] = guarded.cto("token", "--user", "B").stdout.strip()
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
    assert "unauthorized" in elsewhere.stderr  # a token signed with this secret is sent to this gateway only


@pytest.fixture
def application():
    """The application and its Socket.IO server, with all routes and handlers, without a running relay."""
    settings = Settings(jwt_secret=SECRET)
    store = connect(settings)
    authenticator, history = Authenticator(settings, Revocations(store).revoked), JournalQueries(store)
    app = create_app(settings, authenticator, store, None, None, archive_reader(settings))
    socketio_server = make_socketio(app, async_mode="threading")
    service = ClientService(
        authenticator, ConnectionRegistry(None, 1), FifoSemaphore(), Relay(store, history), history
    )
    register(socketio_server, service)
    app.register_blueprint(sse.blueprint(service))
    app.register_blueprint(websocket_route.blueprint(WebSocketClients(service, None, 1)))
    app.register_blueprint(metrics_endpoint.blueprint(lambda: read_system_counts(store), history.backlog))
    return app, socketio_server.server


def test_every_route_is_in_the_matrix_or_public(application):
    app, _ = application
    routes = {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.endpoint not in PUBLIC
    }
    assert routes == set(ROUTES)


def test_every_message_of_a_connection_is_in_the_matrix(application):
    _, server = application
    handled = set(server.handlers["/"]) - {"connect", "disconnect"}
    assert handled == {name for name, _ in MESSAGES}
