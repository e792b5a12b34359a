"""Hooks of the ``schemathesis`` command: rules that the schema cannot express."""

from __future__ import annotations

import schemathesis

MINT = "So11111111111111111111111111111111111111112"
WALLETS, LEAST_SOL = 5, 0.00001  # by default; for each of them


@schemathesis.hook
def before_call(_, case, kwargs):
    kwargs["hooks"] = {"response": _end}
    if case.operation.label == "POST /api/cto/jobs" and case.meta.generation.mode.is_positive:
        _make_valid(case.body)


def _make_valid(body):
    """Make a body valid: the address decodes to 32 bytes, and the amount is enough for the wallets."""
    body.pop("wallets", None)
    body["tokenAddress"] = MINT
    body["buyAmount"] = max(body["buyAmount"], LEAST_SOL * body.get("walletCount", WALLETS))


def _end(response, **_):
    """End a stream after its first chunk, and a WebSocket when it is open: neither ends by itself."""
    streams = response.headers.get("Content-Type", "").startswith("text/event-stream")
    if streams or response.status_code == 101:
        response._content = next(response.iter_content(None), b"") if streams else b""
        response._content_consumed = True
        response.raw.close()
