"""The alert rules are about metrics that there are, and somebody says what to do about each."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

from api import metrics
from cto_worker.history import History

ROOT = Path(__file__).parents[2]
RULES = yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text())["groups"][0]["rules"]


def test_every_alert_is_about_a_metric_that_is_told(app, rest, store):
    app.register_blueprint(metrics.blueprint(1, dict, History(store).backlog))
    told = {
        (sample.name, status)
        for family in text_string_to_metric_families(rest.get("/metrics").text)
        for sample in family.samples
        for status in (None, sample.labels.get("status"))
    }
    for rule in RULES:
        named = re.findall(r'\b(cto_\w+)(?:\{status="(\w+)"\})?', rule["expr"])
        assert named, rule["alert"]
        for name, status in named:
            assert (name, status or None) in told, (rule["alert"], name)


def test_what_to_do_about_every_alert_is_written_down():
    runbook = (ROOT / "docs" / "operating.md").read_text()
    sections = re.findall(r"^### (\w+)\n\n\S", runbook, re.MULTILINE)
    assert sorted(sections) == sorted(rule["alert"] for rule in RULES)
    for rule in RULES:
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in {"page", "ticket"}
