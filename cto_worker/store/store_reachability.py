"""Checks whether the store is reachable, and waits until it is."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from redis.exceptions import RedisError

from cto_worker.store.store_connection import connect

if TYPE_CHECKING:
    from cto_worker.config import Settings

log = logging.getLogger(__name__)

PROBE_TIMEOUT_S = 1.0
AGAIN_S = 1.0
WAITING = "waiting: start it, or correct CTO_REDIS_URL"
REMIND_S = 60.0  # interval of the log lines while the store is unreachable


def store_name(settings: Settings) -> str:
    """Return a description of the store's address, without user and password."""
    if settings.embedded:
        return f"the embedded store in {settings.data_dir.absolute()}"
    if settings.sentinels:
        hosts = ",".join(f"{host}:{port}" for host, port in settings.sentinels.hosts)
        return f"the store {settings.sentinels.primary} of the Sentinels {hosts}"
    parts = urlsplit(settings.redis_url)
    return f"the store at {parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def missing_system(settings: Settings) -> str:
    """Return "" if a system has run with this store, else the advice to look for it in another folder."""
    if not settings.embedded or (settings.data_dir / "store").exists():
        return ""
    return (
        f"no system has run in {settings.data_dir.absolute()}: run the command in the system's folder, "
        "or set CTO_DATA_DIR"
    )


def unreachable(settings: Settings) -> str:
    """Ping the store once. Returns "" if it answers, otherwise one line: the store and the reason."""
    try:
        with connect(settings, 1, timeout_s=PROBE_TIMEOUT_S, retry_timeouts=False) as store:
            store.ping()
    except (RedisError, OSError) as error:
        return f"{store_name(settings)} is not reachable: {' '.join(str(error).split()).rstrip('.')}"
    return ""


def wait_for_store(settings: Settings) -> None:
    """Block until the store answers. Logs the reason at once, and again every minute."""
    logged_s: float | None = None
    while reason := unreachable(settings):
        if logged_s is None or time.monotonic() - logged_s >= REMIND_S:
            logged_s = time.monotonic()
            log.warning("%s; %s", reason, WAITING)
        time.sleep(AGAIN_S)
    if logged_s is not None:
        log.info("%s is reachable", store_name(settings))
