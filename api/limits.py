"""How often each user, and each address that shows no token, may ask. Counted in the store, for all gateways.

Flask-Limiter counts. While the store is out of reach each gateway counts by itself, so that what can be
answered without it still is; starting an operation cannot, and is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import g, request
from flask_limiter import Limiter

from api.policy import Role
from cto_worker.store import connect

if TYPE_CHECKING:
    from flask import Flask

    from cto_worker.config import Settings

STORE_TIMEOUT_S = 1.0  # to be counted must not take what the answer itself may take
UNCOUNTED = frozenset({"healthz", "readyz"})  # who watches the gateway must not be turned away by it
STRATEGY = "sliding-window-counter"  # a fixed window would let through twice as many around its end


def limit_requests(app: Flask, settings: Settings) -> None:
    """Answer 429 to whoever asks more often than ``CTO_RATE_LIMIT``; every answer tells how many are left.

    Without authorization nobody is counted, for then all is one machine; nor is the service, which asks for
    all of its users.
    """
    if settings.auth == "off":
        return
    pool = connect(settings.of_limits, timeout_s=STORE_TIMEOUT_S, retry_timeouts=False).connection_pool
    Limiter(
        _who,
        app=app,
        application_limits=[settings.rate_limit],
        application_limits_exempt_when=_is_not_counted,
        strategy=STRATEGY,
        storage_uri="redis://",  # the pool knows where it is
        storage_options={"connection_pool": pool},  # type: ignore[dict-item]  # as `limits` has it
        key_prefix="cto",
        in_memory_fallback_enabled=True,
        swallow_errors=True,  # of requests that were being counted as the store was lost
        headers_enabled=True,
        retry_after="delta-seconds",
    )


def _who() -> str:
    who = g.get("caller")
    return who.name if who else f"address:{request.remote_addr}"


def _is_not_counted() -> bool:
    who = g.get("caller")
    return request.endpoint in UNCOUNTED or (who is not None and who.role is Role.SERVICE)
