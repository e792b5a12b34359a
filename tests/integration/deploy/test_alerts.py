"""Alerts and dashboard use existing metrics, in valid PromQL, and each alert has a runbook section.

The cases in which each alert fires and clears are run by promtool, Prometheus's own evaluator. No package of
PyPI or npm contains it, and a second evaluator would not show what Prometheus does. So these cases run only
where promtool is installed, as by Debian's package ``prometheus``.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from api.metric_definitions import REQUEST
from api.rest import metrics_endpoint
from cto_worker.observability.heartbeat_reader import read_system_counts
from cto_worker.observability.metric_definitions import JOBS_ENDED, PHASE, REGISTRY
from cto_worker.observability.process_heartbeat import ProcessHeartbeat
from cto_worker.store.journal_queries import JournalQueries

ROOT = Path(__file__).parents[3]
RULES = yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text())["groups"][0]["rules"]
JOBS = {
    config["job_name"]
    for config in yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())["scrape_configs"]
}
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


@pytest.fixture
def exported(app, rest, store):
    """Return the labels of every metric of the gateway, by its name."""
    for family, labels in (
        (JOBS_ENDED, ("standard", "completed", "full", "")),
        (PHASE, ("standard", 1)),
        (REQUEST, ("GET", "/", 200)),
    ):
        family.labels(*labels)  # creates the series, as the first observation does
    ProcessHeartbeat(store, "worker", REGISTRY, lambda: {"operations": 0, "slots": 1}).send()
    ProcessHeartbeat(store, "gateway", REGISTRY, lambda: {"socketio": 0}).send()
    app.register_blueprint(
        metrics_endpoint.blueprint(lambda: read_system_counts(store), JournalQueries(store).backlog)
    )
    return {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(rest.get("/metrics").text)
        for sample in family.samples
    }


# Metrics of other sources: Prometheus itself, node_exporter in the compose file, kubelets on Kubernetes.
_VOLUME = {"namespace", "persistentvolumeclaim"}
OTHERS = {
    "up": {"job", "instance"},
    "node_filesystem_avail_bytes": {"job", "mountpoint"},
    "node_filesystem_size_bytes": {"job", "mountpoint"},
    "kubelet_volume_stats_available_bytes": _VOLUME,
    "kubelet_volume_stats_capacity_bytes": _VOLUME,
}


def selectors(expression):
    """Return every metric of a query, with the labels that select its series."""
    if isinstance(expression, promql_parser.VectorSelector):
        return [(expression.name, {matcher.name for matcher in expression.matchers.matchers})]
    parts = [getattr(expression, name, None) for name in ("expr", "lhs", "rhs", "vector_selector")]
    parts += getattr(expression, "args", [])
    return [found for part in parts if part is not None for found in selectors(part)]


def check_query(query, exported):
    found = selectors(promql_parser.parse(query))
    assert found, query
    for name, labels in found:
        assert name in exported, query
        assert labels <= exported[name], query
    for grouped in re.findall(r"\b(?:by|without) \(([^)]*)\)", query):
        assert set(grouped.split(", ")) <= {"instance"}.union(*(exported[name] for name, _ in found)), query


def test_every_alert_uses_existing_metrics(exported):
    for rule in RULES:
        check_query(rule["expr"], exported | OTHERS)
        for job in re.findall(r'job="(\w+)"', rule["expr"]):
            assert job in JOBS, rule["alert"]


def test_every_alert_has_a_case_in_which_it_fires():
    cases = (ROOT / "deploy" / "alerts_test.yml").read_text()
    assert set(re.findall(r'alertname="(\w+)"', cases)) == {rule["alert"] for rule in RULES}
    series = re.findall(r"series: '(\w+)", cases)
    used = {name for rule in RULES for name, _ in selectors(promql_parser.parse(rule["expr"]))}
    assert set(series) == used


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_every_alert_fires_and_clears_in_its_cases():
    command = ["promtool", "test", "rules", "alerts_test.yml"]
    done = subprocess.run(command, cwd=ROOT / "deploy", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_panel_uses_existing_metrics(exported):
    for panel in PANELS:
        assert panel["targets"], panel["title"]
        for target in panel["targets"]:
            check_query(target["expr"].replace("$__rate_interval", "5m"), exported)


def test_the_dashboard_shows_every_metric(exported):
    shown = "\n".join(target["expr"] for panel in PANELS for target in panel["targets"])
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in exported}
    assert {name for name in families if name not in shown} == {"cto_worker_operations", "cto_sweeps_total"}


def test_panels_do_not_overlap():
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


def test_every_alert_has_a_runbook_section():
    runbook = (ROOT / "docs" / "how-to" / "operating.md").read_text()
    sections = re.findall(r"^### (Cto\w+)\n\n\S", runbook, re.MULTILINE)
    assert sorted(sections) == sorted(rule["alert"] for rule in RULES)
    for rule in RULES:
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in {"page", "ticket"}
