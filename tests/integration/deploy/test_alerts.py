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
from contextlib import suppress
from itertools import product
from pathlib import Path

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from api.metric_definitions import REQUEST
from api.rest import metrics_endpoint
from cto_worker.domain.journal_ports import Journal
from cto_worker.domain.progress_event import Mode
from cto_worker.domain.purchase_outcome import PurchaseOutcome
from cto_worker.errors import OperationFailed
from cto_worker.jobs.archiver import Archiver
from cto_worker.jobs.job_runner import JobRunner
from cto_worker.observability.heartbeat_reader import read_system_counts
from cto_worker.observability.metered_journal import metered
from cto_worker.observability.metric_definitions import JOBS_ENDED, PHASE, REGISTRY
from cto_worker.observability.process_heartbeat import ProcessHeartbeat
from cto_worker.store import keys
from cto_worker.store.ended_jobs import EndedJobs
from cto_worker.store.journal_queries import JournalQueries
from cto_worker.testing.in_memory_market import InMemoryMarket

ROOT = Path(__file__).parents[3]
RULES = yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text())["groups"][0]["rules"]
JOBS = {
    config["job_name"]
    for config in yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())["scrape_configs"]
}
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


@pytest.fixture
def scrape(app, rest, store):
    """Return all samples of the gateway's metrics."""
    app.register_blueprint(
        metrics_endpoint.blueprint(lambda: read_system_counts(store), JournalQueries(store).backlog)
    )

    def scrape():
        families = text_string_to_metric_families(rest.get("/metrics").text)
        return [sample for family in families for sample in family.samples]

    return scrape


@pytest.fixture
def exported(scrape, store):
    """Return the labels of every metric of the gateway, by its name."""
    for family, labels in (
        (JOBS_ENDED, ("standard", "completed", "full", "")),
        (PHASE, ("standard", 1)),
        (REQUEST, ("GET", "/", 200)),
    ):
        family.labels(*labels)  # creates the series, as the first observation does
    ProcessHeartbeat(store, "worker", REGISTRY, lambda: {"operations": 0, "slots": 1}).send()
    ProcessHeartbeat(store, "gateway", REGISTRY, lambda: {"socketio": 0}).send()
    return {sample.name: set(sample.labels) for sample in scrape()}


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


def test_the_jobs_of_every_status_stay_counted_after_they_were_archived(
    scrape, store, settings, journal, archive, body
):
    sender = ProcessHeartbeat(store, "worker", REGISTRY, lambda: {"operations": 0, "slots": 1})
    sender.send()

    def counts():
        sender.send()
        return {
            (sample.name, *sample.labels.values()): sample.value
            for sample in scrape()
            if sample.name in {"cto_jobs_ended_total", "cto_jobs_accepted_total", "cto_jobs"}
        }

    before = counts()
    runner = JobRunner(metered(Journal.of(journal)), InMemoryMarket())
    for job_id in ("j1", "j2"):
        runner.run_job(job_id, body)
    with suppress(OperationFailed):
        runner.run_job("j3", body | {"buyAmount": 5_000})
    ended = counts()
    grown = {name: value - before.get(name, 0) for name, value in ended.items()}
    assert {name: value for name, value in grown.items() if value} == {
        ("cto_jobs_accepted_total",): 3,
        ("cto_jobs_ended_total", "", "standard", "full", "completed"): 2,
        ("cto_jobs_ended_total", "insufficient_funds", "standard", "none", "failed"): 1,
    }
    Archiver(EndedJobs(store, settings), archive, settings).archive_batch()
    for job_id in ("j1", "j2", "j3"):
        assert store.ttl(keys.job(job_id)) > 0
        store.delete(keys.job(job_id), keys.events(job_id), keys.intents(job_id), keys.meta(job_id))
    journal.find_orphans()  # cleans the lists
    assert counts() == ended


def test_the_first_completed_job_of_each_outcome_is_an_increase(exported, scrape):
    assert "cto_jobs_ended_total" in exported
    first = {
        (sample.labels["mode"], sample.labels["outcome"])
        for sample in scrape()
        if sample.name == "cto_jobs_ended_total" and sample.labels["status"] == "completed"
    }
    assert first >= set(product(Mode, PurchaseOutcome))


TWO_GATEWAYS = """
evaluation_interval: 10s
tests:
  - interval: 10s
    input_series:
{series}
    promql_expr_test:
      - expr: {query}
        eval_time: 5m
        exp_samples:
{samples}
"""
ENDED = [  # labels, jobs in 10 s, jobs per minute of both modes
    ("completed", "full", "", 2, 24),
    ("completed", "partial", "", 1, 12),
    ("failed", "none", "cancelled", 3, 36),
]


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_a_panel_adds_ended_jobs_once_although_every_gateway_reports_them(tmp_path):
    (query,) = (
        target["expr"]
        for panel in PANELS
        if panel["title"] == "Jobs per minute"
        for target in panel["targets"]
        if "ended" in target["expr"]
    )
    series = [
        f'      - series: \'cto_jobs_ended_total{{instance="{instance}",mode="{mode}",status="{status}",'
        f'outcome="{outcome}",error_code="{code}"}}\'\n        values: \'0+{jobs}x40\''
        for instance, mode, (status, outcome, code, jobs, _) in product("ab", Mode, ENDED)
    ]
    samples = [
        f'          - {{labels: \'{{status="{status}",outcome="{outcome}"}}\', value: {rate}}}'
        for status, outcome, _, _, rate in ENDED
    ]
    case = TWO_GATEWAYS.format(
        series="\n".join(series),
        samples="\n".join(samples),
        query=json.dumps(query.replace("$__rate_interval", "1m")),
    )
    (tmp_path / "case.yml").write_text(case)
    command = ["promtool", "test", "rules", tmp_path / "case.yml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


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
