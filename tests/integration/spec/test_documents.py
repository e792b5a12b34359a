"""The published documents agree with the code: routes, messages, fields, codes and responses."""

from __future__ import annotations

import ast
import re
from contextlib import suppress
from pathlib import Path

import pytest
import schemathesis
from jsonschema_rs import Draft202012Validator, ValidationError, meta
from msgspec.structs import fields

from api.auth.authentication import PUBLIC, Authenticator
from api.auth.token_revocations import Revocations
from api.errors import CODE_OF_STATUS, ERRORS
from api.limits.fifo_semaphore import FifoSemaphore
from api.realtime import sse, websocket_route
from api.realtime.client_service import ClientService
from api.realtime.connection_registry import ConnectionRegistry
from api.realtime.socketio_transport import make_socketio, register
from api.realtime.websocket_connection import WebSocketClients
from api.relay.relay import Relay
from api.rest import metrics_endpoint
from api.spec import asyncapi, openapi
from cto_worker.domain.journal_ports import Journal
from cto_worker.domain.operation_request import parse_request
from cto_worker.domain.progress_event import Details, ProgressEvent
from cto_worker.errors import OperationFailed
from cto_worker.jobs.job_runner import JobRunner
from cto_worker.markets.paper.market import PaperMarket
from cto_worker.observability.heartbeat_reader import read_system_counts
from cto_worker.operation.progress_reporter import accepted_event
from cto_worker.store.journal_queries import JournalQueries

ROOT = Path(__file__).parents[3]
CONTRACT = (ROOT / "docs" / "reference" / "contract.md").read_text()
CODE = re.compile(r"[a-z]+(_[a-z]+)*\Z")


def operations():
    return [
        (path, method, operation)
        for path, methods in openapi.document()["paths"].items()
        for method, operation in methods.items()
    ]


def responses():
    return [
        (f"{method} {path} {status}", response)
        for path, method, operation in operations()
        for status, response in operation["responses"].items()
    ]


def closed(schema):
    """Return the schema without additional properties: every field of a response must be described."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(value) for name, value in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        found["additionalProperties"] = False
    return found


def check(schema, value, document=None):
    components = (document or openapi.document())["components"]["schemas"]
    whole = closed(schema) | {"components": {"schemas": closed(components)}}
    Draft202012Validator(whole).validate(value)


@pytest.fixture
def whole(app, store, settings):
    """The app and its Socket.IO server with all routes and handlers, for inspection only."""
    socketio = make_socketio(app, async_mode="threading")
    authenticator, history = Authenticator(settings, Revocations(store).revoked), JournalQueries(store)
    service = ClientService(
        authenticator, ConnectionRegistry(None, 1), FifoSemaphore(), Relay(store, history), history
    )
    register(socketio, service)
    app.register_blueprint(metrics_endpoint.blueprint(lambda: read_system_counts(store), history.backlog))
    app.register_blueprint(sse.blueprint(service))
    app.register_blueprint(websocket_route.blueprint(WebSocketClients(service, None, 1)))
    return app, socketio.server


def test_the_document_is_openapi_3_1(rest):
    served = rest.get("/openapi.json")
    assert served.get_json() == openapi.document(secured=False), "as the settings are"
    for document in (openapi.document(), openapi.document(secured=False)):
        schemathesis.openapi.from_dict(document).validate()


@pytest.mark.parametrize("document", [openapi.document(), asyncapi.document()], ids=["openapi", "asyncapi"])
def test_every_schema_is_valid_and_every_reference_resolves(document):
    for schema in document["components"]["schemas"].values():
        meta.validate(schema)
    for reference in re.findall(r"'\$ref': '([^']+)'", str(document)):
        found = document
        for name in reference.removeprefix("#/").split("/"):
            found = found[name]


def test_every_route_is_described_and_no_other(whole):
    app, _ = whole
    routes = {
        (method.lower(), re.sub(r"<job_id>", "{jobId}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.endpoint.split(".")[-1] != "static"  # files of the pages
    }
    assert routes == {(method, path) for path, method, _ in operations()}


def test_a_route_is_described_as_public_exactly_when_it_is(whole):
    app, _ = whole
    public = {
        re.sub(r"<job_id>", "{jobId}", rule.rule)
        for rule in app.url_map.iter_rules()
        if rule.endpoint in PUBLIC - {"static", "client.static", "guide.static"}
    }
    assert public == {path for path, _, operation in operations() if operation["security"] == []}


def test_every_message_that_is_handled_is_described_and_no_other(whole):
    _, server = whole
    handled = set(server.handlers["/"]) - {"connect", "disconnect"}
    described = {
        name.removeprefix("socketio_")
        for name, operation in asyncapi.document()["operations"].items()
        if name.startswith("socketio_") and operation["action"] == "receive"
    }
    assert described == handled


@pytest.mark.parametrize(("name", "event"), [("ProgressEvent", ProgressEvent), ("Details", Details)])
def test_the_fields_of_an_event_are_described(name, event):
    schema = openapi.document()["components"]["schemas"][name]
    names = {field.encode_name for field in fields(event)}
    assert set(schema["properties"]) == names
    optional = names - set(schema.get("required", ()))
    assert optional == ({"details", "socketUserId"} if event is ProgressEvent else names)


def coded(tree):
    """Yield the nodes in which a module names codes: arguments of error constructors, and tables of codes."""
    makers = {"BadRequestError", "ForbiddenError", "UnauthorizedError", "RoomError", "failure"}
    makers |= {"unavailable", "_fail", "_refuse", "__init__"}
    tables = {"CODE_OF_STATUS", "_CODES", "EXPIRED", "REVOKED", "GOING_AWAY"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in makers:
            yield from node.args[:3]
        elif isinstance(node, ast.Dict):
            yield from (
                v for k, v in zip(node.keys, node.values, strict=True) if getattr(k, "value", 0) == "code"
            )
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(getattr(target, "id", "") in tables for target in targets):
                yield from ast.walk(node.value)


def test_the_table_of_errors_has_every_code_that_the_gateway_sends_and_no_other():
    sent = {
        node.value
        for path in (ROOT / "api").rglob("*.py")
        if path.parent.name not in {"spec", "cli"}
        for node in coded(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.match(node.value)
    }
    assert sent == set(ERRORS)
    assert set(CODE_OF_STATUS.values()) <= set(ERRORS)


def test_the_table_of_errors_says_where_each_code_is_sent():
    for code, error in ERRORS.items():
        assert error.http or error.socket or error.close is not None, code
        assert all((error.meaning, error.action)), code
    assert [status for status, code in CODE_OF_STATUS.items() if status not in ERRORS[code].http] == []


def test_the_contract_names_no_status_for_a_code_but_those_of_the_table():
    prose = re.sub(r"<!-- generated: errors -->.*?<!-- end -->", "", CONTRACT, flags=re.DOTALL)
    for status, code in re.findall(r"\b([45]\d\d) `(\w+)`", prose):
        assert int(status) in ERRORS[code].http, (status, code)
    for code, status in re.findall(r"`(\w+)` (1\d{3})\b", prose):
        assert int(status) == ERRORS[code].close, (code, status)


def test_every_code_over_http_is_described_at_a_route_or_in_the_components():
    named = {
        (int(status), code)
        for _, _, operation in operations()
        for status, response in operation["responses"].items()
        if int(status) >= 400
        for code in response["content"]["application/json"]["schema"]["properties"]["error"]["allOf"][1][
            "properties"
        ]["code"]["enum"]
    }
    of_no_route = {
        (status, code)
        for response in openapi.document()["components"]["responses"].values()
        for code in response["content"]["application/json"]["schema"]["properties"]["error"]["allOf"][1][
            "properties"
        ]["code"]["enum"]
        for status in ERRORS[code].http
    }
    assert named | of_no_route == {(status, code) for code in ERRORS for status in ERRORS[code].http}


@pytest.mark.parametrize(("name", "response"), responses(), ids=[name for name, _ in responses()])
def test_the_example_of_a_response_is_valid(name, response):
    for content in response.get("content", {}).values():
        if "example" in content:
            check(content["schema"], content["example"])


def test_the_events_in_a_response_are_checked():
    response = openapi.document()["paths"]["/api/cto/job/{jobId}/status"]["get"]["responses"]["200"]
    content = response["content"]["application/json"]
    for name, wrong in {"latestProgress": {}, "progressEvents": [{}]}.items():
        data = content["example"]["data"] | {name: wrong}
        with pytest.raises(ValidationError, match="workerType"):
            check(content["schema"], {"success": True, "data": data})


def test_the_examples_of_requests_are_valid(rest, store):
    for _, _, operation in operations():
        for parameter in operation.get("parameters", ()):
            check(parameter["schema"], parameter["example"])
        for content in operation.get("requestBody", {}).get("content", {}).values():
            check(content["schema"], content["example"])
    body = openapi.document()["paths"]["/api/cto/jobs"]["post"]["requestBody"]["content"]["application/json"]
    assert rest.post("/api/cto/jobs", json=body["example"]).status_code == 202


MESSAGES = [
    (f"{channel} {name}", message)
    for channel, described in asyncapi.document()["channels"].items()
    for name, message in described["messages"].items()
]


@pytest.mark.parametrize(("name", "message"), MESSAGES, ids=[name for name, _ in MESSAGES])
def test_the_example_of_a_message_is_valid(name, message):
    for example in message["examples"]:
        check(message["payload"], example["payload"], asyncapi.document())


def test_the_requests_in_the_guides_are_valid():
    python = re.search(r"enqueue\(\n\s*(\{.*?\}),", CONTRACT, re.DOTALL)[1]
    shell = re.search(r"-d '(\{.*?\})'", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    for text in (python, shell):
        document = ast.literal_eval(text)
        check({"$ref": "#/components/schemas/OperationRequest"}, document)
        parse_request(document)


HEADERS = {"ETag", "Location", "Retry-After", "WWW-Authenticate", "Allow"}


@pytest.fixture
def send(rest):
    """Return a function that sends a request, and compares the response with its description."""

    def send(method, path, status, path_described=None, **options):
        with rest.open(path, method=method, **options) as response:
            assert response.status_code == status, response.text
            described = openapi.document()["paths"][path_described or path][method.lower()]["responses"]
            content = described[str(status)].get("content", {})
            assert [response.mimetype] == list(content) or not response.data
            if response.mimetype == "application/json" and response.data:
                check(content["application/json"]["schema"], response.get_json())
                assert HEADERS & set(response.headers.keys()) <= set(described[str(status)]["headers"])

    return send


@pytest.fixture
def send_about(send):
    """Return the same for the paths of a job."""

    def send_about(method, job_id, part, status, query="", **options):
        address = f"/api/cto/job/{{jobId}}/{part}"
        send(method, address.format(jobId=job_id) + query, status, address, **options)

    return send_about


def test_responses_to_submissions_are_described(send, body):
    key = {"Idempotency-Key": "k"}
    jobs = "/api/cto/jobs"
    send("POST", jobs, 202, json=body, headers=key)
    send("POST", jobs, 200, json=body, headers=key)
    send("POST", jobs, 409, json=body | {"buyAmount": 1}, headers=key)
    send("POST", jobs, 400, json=body | {"wallets": []})
    send("POST", jobs, 413, data=b" " * 40_000, content_type="application/json")
    send("POST", jobs, 415, data=b"{}")
    send("POST", jobs, 403, json=body, headers={"Origin": "https://evil.example"})


@pytest.mark.parametrize("mode", ["standard", "prefunded"])
@pytest.mark.parametrize(
    ("amount", "end"), [(0.5, "completed"), (1000, "failed")]
)  # the funding wallet has less SOL
def test_responses_about_a_job_are_described(
    send, send_about, store, settings, journal, body, mode, amount, end
):
    body |= {"mode": mode, "buyAmount": amount, "socketUserId": "8"}
    request = parse_request(body)
    journal.create(accepted_event("j1", request), request.to_document())

    def request_all():
        for part in ("status", "latest", "events"):
            send_about("GET", "j1", part, 200)
        send("GET", "/api/cto/jobs?limit=1", 200, "/api/cto/jobs")
        send("GET", "/api/cto/jobs/stats?jobIds=j1,other", 200, "/api/cto/jobs/stats")

    request_all()
    with suppress(OperationFailed):
        JobRunner(Journal.of(journal), PaperMarket(store, settings)).run_job("j1", body)
    assert JournalQueries(store).job_details("j1").status == end
    request_all()
    send_about("GET", "j1", "latest", 304, headers={"If-None-Match": "*"})
    send_about("POST", "j1", "cancel", 409)


def test_other_responses_are_described(send, send_about, journal, body):
    request = parse_request(body)
    journal.create(accepted_event("j1", request), request.to_document())
    send_about("POST", "j1", "cancel", 202)  # which ends the job, because no worker has claimed it
    send_about("GET", "j1", "status", 200)
    send_about("GET", "nobody", "status", 404)
    send_about("GET", "a.b", "events", 400)
    send_about("GET", "j1", "events", 400, "?after=x")
    send("GET", "/api/cto/jobs?page=2", 400, "/api/cto/jobs")
    send("GET", "/healthz", 403, headers={"Host": "evil.example"})
    pages = ("/", "/docs", "/client/cto-progress.js", "/client/cto-progress.tgz")
    for path in (*pages, "/healthz", "/readyz", "/openapi.json", "/asyncapi.json"):
        send("GET", path, 200)


def test_the_api_reference_loads_only_what_its_policy_allows(rest):
    with rest.get("/docs") as response:
        page = response.text
    assert not re.search(r"<style|style=|<script>|onclick=|https?:", page)
    for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
        with rest.get(address) as response:
            assert response.status_code == 200
            loaded = response.text.replace('xmlns="http://www.w3.org/2000/svg"', "")  # a namespace, not a URL
            assert not re.search(r"https?:|innerHTML", loaded)
