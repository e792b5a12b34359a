"""Every route of the REST API is traced, and nothing else."""

from __future__ import annotations

from contextlib import contextmanager

from api.auth.authentication import Authenticator
from api.flask_app import create_app
from api.realtime.client_service import ClientService
from api.realtime.sse import blueprint as streams
from api.rest.request_spans import trace_requests
from cto_worker.config import Settings
from cto_worker.observability.traces_port import Traces


class RecordedTraces(Traces):
    """Keeps method and route of each request."""

    def __init__(self):
        self.requests = []

    @contextmanager
    def request(self, method, route, *_):
        self.requests.append((method, route))
        yield lambda _: None


def test_every_route_of_rest_is_traced_and_nothing_else(tmp_path):
    settings = Settings(data_dir=tmp_path, auth="off")
    app = create_app(settings, Authenticator(settings, lambda _: False), None, None, None, None)
    traces = RecordedTraces()
    trace_requests(app, traces)
    app.register_blueprint(streams(ClientService(None, None, None, None, None)))
    app.before_request_funcs[None][1:] = [lambda: "answered instead of the view, after the timer's start"]
    client, rest = app.test_client(), set()
    for rule in app.url_map.iter_rules():
        for method in rule.methods - {"OPTIONS", "HEAD"}:
            client.open(rule.rule.replace("<", "").replace(">", ""), method=method)
            if rule.rule.startswith("/api/") and rule.endpoint.partition(".")[0] != "streams":
                rest.add((method, rule.rule))
    assert ("POST", "/api/cto/job/<job_id>/resolve") in rest
    assert sorted(traces.requests) == sorted(rest)
