"""Waiting for a store that is not reachable when a process starts."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from redis.exceptions import RedisError

from cto_worker.store.connection import connect

if TYPE_CHECKING:
    from cto_worker.config import Settings

log = logging.getLogger(__name__)

PROBE_TIMEOUT_S = 1.0
AGAIN_S = 1.0
REMIND_S = 60.0  # how often it is said again that the store is waited for


def store_name(settings: Settings) -> str:
    """Where the store is, without user and password."""
    if settings.embedded:
        return f"the embedded store in {settings.data_dir.absolute()}"
    if settings.sentinels:
        hosts = ",".join(f"{host}:{port}" for host, port in settings.sentinels.hosts)
        return f"the store {settings.sentinels.primary} of the Sentinels {hosts}"
    parts = urlsplit(settings.redis_url)
    return f"the store at {parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def unreachable(settings: Settings) -> str:
    """Ask the store once. Returns why it is not reachable, in one line that names it, or ""."""
    try:
        with connect(settings, 1, timeout_s=PROBE_TIMEOUT_S, retry_timeouts=False) as store:
            store.ping()
    except (RedisError, OSError) as error:
        return f"{store_name(settings)} is not reachable: {' '.join(str(error).split()).rstrip('.')}"
    return ""


def wait_for_store(settings: Settings) -> None:
    """Return when the store answers. Logs why it waits at once, and then every minute."""
    said_s: float | None = None
    while why := unreachable(settings):
        if said_s is None or time.monotonic() - said_s >= REMIND_S:
            said_s = time.monotonic()
            log.warning("%s; waiting", why)
        time.sleep(AGAIN_S)
    if said_s is not None:
        log.info("%s is reachable", store_name(settings))
