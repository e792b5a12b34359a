"""Alerts and dashboard ask for what there is, in Prometheus' own language, and somebody says what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from api.metrics import REQUEST
from api.rest import metrics_endpoint
from cto_worker.observability import heartbeat
from cto_worker.observability.heartbeat import ProcessHeartbeat
from cto_worker.observability.metrics import JOBS_ENDED, PHASE, REGISTRY
from cto_worker.store.history import History

ROOT = Path(__file__).parents[3]
RULES = yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text())["groups"][0]["rules"]
JOBS = {
    one["job_name"]
    for one in yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())["scrape_configs"]
}
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


@pytest.fixture
def told(app, rest, store):
    """The labels of every metric, by its name."""
    for family, labels in (
        (JOBS_ENDED, ("standard", "completed", "")),
        (PHASE, ("standard", 1)),
        (REQUEST, ("GET", "/", 200)),
    ):
        family.labels(*labels)  # as whatever happens first does
    ProcessHeartbeat(store, "worker", REGISTRY, lambda: {"operations": 0, "slots": 1}).send()
    ProcessHeartbeat(store, "gateway", REGISTRY, lambda: {"socketio": 0}).send()
    app.register_blueprint(metrics_endpoint.blueprint(lambda: heartbeat.read(store), History(store).backlog))
    return {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(rest.get("/metrics").text)
        for sample in family.samples
    }


# What others tell Prometheus: itself, node_exporter in the compose file, the kubelets of Kubernetes.
_VOLUME = {"namespace", "persistentvolumeclaim"}
OTHERS = {
    "up": {"job", "instance"},
    "node_filesystem_avail_bytes": {"job", "mountpoint"},
    "node_filesystem_size_bytes": {"job", "mountpoint"},
    "kubelet_volume_stats_available_bytes": _VOLUME,
    "kubelet_volume_stats_capacity_bytes": _VOLUME,
}


def selectors(expression):
    """Every metric that a query names, with the labels by which it picks."""
    if isinstance(expression, promql_parser.VectorSelector):
        return [(expression.name, {matcher.name for matcher in expression.matchers.matchers})]
    parts = [getattr(expression, name, None) for name in ("expr", "lhs", "rhs", "vector_selector")]
    parts += getattr(expression, "args", [])
    return [found for part in parts if part is not None for found in selectors(part)]


def asks_for_what_there_is(query, told):
    found = selectors(promql_parser.parse(query))
    assert found, query
    for name, labels in found:
        assert name in told, query
        assert labels <= told[name], query
    for grouped in re.findall(r"\b(?:by|without) \(([^)]*)\)", query):
        assert set(grouped.split(", ")) <= {"instance"}.union(*(told[name] for name, _ in found)), query


def test_every_alert_is_about_what_is_told(told):
    for rule in RULES:
        asks_for_what_there_is(rule["expr"], told | OTHERS)
        for job in re.findall(r'job="(\w+)"', rule["expr"]):
            assert job in JOBS, rule["alert"]


def test_for_every_alert_there_is_a_case_in_which_it_fires():
    cases = (ROOT / "deploy" / "alerts_test.yml").read_text()  # which promtool works out, see the file
    assert set(re.findall(r'alertname="(\w+)"', cases)) == {rule["alert"] for rule in RULES}
    series = re.findall(r"series: '(\w+)", cases)
    asked = {name for rule in RULES for name, _ in selectors(promql_parser.parse(rule["expr"]))}
    assert set(series) == asked


def test_every_panel_shows_what_is_told(told):
    for panel in PANELS:
        assert panel["targets"], panel["title"]
        for target in panel["targets"]:
            asks_for_what_there_is(target["expr"].replace("$__rate_interval", "5m"), told)


def test_the_dashboard_shows_everything_that_is_told(told):
    shown = "\n".join(target["expr"] for panel in PANELS for target in panel["targets"])
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in told}
    assert {name for name in families if name not in shown} == {"cto_worker_operations", "cto_sweeps_total"}


def test_no_panel_hides_another():
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for at in [panel["gridPos"]]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert all(x < 24 for x, _ in cells)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_what_to_do_about_every_alert_is_written_down():
    runbook = (ROOT / "docs" / "operating.md").read_text()
    sections = re.findall(r"^### (Cto\w+)\n\n\S", runbook, re.MULTILINE)
    assert sorted(sections) == sorted(rule["alert"] for rule in RULES)
    for rule in RULES:
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in {"page", "ticket"}
