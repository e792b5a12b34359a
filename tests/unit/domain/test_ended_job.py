"""The columns by which ended jobs are searched."""

from __future__ import annotations

import base64
import json

from cto_worker.domain.ended_job import signatures_of
from cto_worker.domain.intent_codec import PLAN


def test_the_signatures_of_replaced_orders_are_found_too():
    order = {"signature": "C", "payload": base64.b64encode(b"bytes").decode(), "replaced": ["A", "B"]}
    log = {PLAN: b"[]", "j1:w:buy.1": json.dumps({"status": "submitted", **order}).encode()}
    assert signatures_of(b"{}", log) == {"A", "B", "C"}
