"""A user's latency while clients without a token attack: the gateway against a stock Node server."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

import jwt

from benchmarks.relay.jobs import Journaled
from benchmarks.relay.servers import SERVERS
from benchmarks.system import client, embedded_store
from benchmarks.table import Line
from cto_worker.config import Settings
from cto_worker.store import keys
from cto_worker.store.redis_journal import RedisJournal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.relay.servers import Server

ATTACKS = {
    "posts": "60 posts/s of 1,200 packets",
    "sockets": "10 WebSockets/s of 1,199 packets",
}
LABELS = {
    "p50_ms": "a request, median",
    "p99_ms": "a request, p99",
    "quiet_p99_ms": "p99 before the attack",
}
ROUNDS, SECONDS = 3, 10
QUIET_S = 5
PAUSE_S = 0.01  # between two requests of the user
LIMIT_MS = 50  # target of the p99 during an attack
SECRET = "a secret of the benchmark, which is long enough for HS256"


@dataclass(frozen=True, slots=True)
class Round:
    """The effect of one attack on one server."""

    p50_ms: float
    p99_ms: float
    quiet_p99_ms: float  # before the attack
    cpu: float  # of the server during the attack, in cores
    failed: int
    log_bytes: int
    sent_bytes: int


def attacks() -> Iterator[Line]:
    """Run each attack on both servers."""
    for name, what in ATTACKS.items():
        ours, nodes = _measure_both(name)
        for label in ("p50_ms", "p99_ms", "quiet_p99_ms"):
            our_ms, nodes_ms = (median(getattr(each, label) for each in rounds) for rounds in (ours, nodes))
            text = f"{our_ms:.1f} / {nodes_ms:.1f} ms"
            yield Line(f"{what}: {LABELS[label]}", text, our_ms / nodes_ms)
        our_cpu, nodes_cpu = (median(each.cpu for each in rounds) for rounds in (ours, nodes))
        yield Line(
            f"{what}: CPU of the server", f"{our_cpu:.2f} / {nodes_cpu:.2f} cores", our_cpu / nodes_cpu
        )
        our_ms = median(each.p99_ms for each in ours)
        yield Line(f"{what}: p99 / limit", f"{our_ms:.1f} / {LIMIT_MS} ms", our_ms / LIMIT_MS, at_most=1)
        failed = sum(round_.failed for round_ in ours), sum(round_.failed for round_ in nodes)
        yield Line(f"{what}: requests that failed", f"{failed[0]} / {failed[1]}", failed[0], at_most=0)
        logged, sent = (
            median(values) for values in zip(*((r.log_bytes, r.sent_bytes) for r in ours), strict=True)
        )
        yield Line(
            f"{what}: log / sent", f"{logged / 1e3:.1f} / {sent / 1e3:.0f} kB", logged / sent, at_most=1
        )


def _measure_both(attack: str) -> tuple[list[Round], list[Round]]:
    """Return the rounds of the gateway, and of Node. Both servers alternate."""
    measured: tuple[list[Round], list[Round]] = ([], [])
    token = jwt.encode({"sub": "bench", "iat": int(time.time()), "exp": int(time.time()) + 3_600}, SECRET)
    with embedded_store() as environment, client(environment) as store:
        job_id = Journaled(RedisJournal(store, Settings()), "bench").job_id
        guarded = environment | {
            "CTO_AUTH": "required",
            "CTO_JWT_SECRET": SECRET,
            "CTO_RATE_LIMIT": "100000/second",
            "TOKEN": token,  # the only one that Node accepts
        }
        paths = (f"/api/cto/job/{job_id}/status", f"/store/{keys.meta(job_id)}")
        logs = [Path(environment["CTO_DATA_DIR"]) / name for name in ("api.wsgi.log", "relay.log")]
        servers = SERVERS["gateway"], SERVERS["Node"]
        for _ in range(ROUNDS):
            for serve, path, log, rounds in zip(servers, paths, logs, measured, strict=True):
                with serve(guarded) as server:
                    rounds.append(_attack(server, attack, path, token, log))
    return measured


def _attack(server: Server, attack: str, path: str, token: str, log: Path) -> Round:
    _request_while(lambda: False, server.port, path, token)  # warms the server up
    until_s = time.monotonic() + QUIET_S
    quiet_ms, _ = _request_while(lambda: time.monotonic() < until_s, server.port, path, token)
    before, used_s, start_s = log.stat().st_size, server.cpu_s, time.monotonic()
    command = [sys.executable, "-m", "benchmarks.attackers", attack, str(server.port), str(SECONDS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as attacker:
        try:
            latencies_ms, failed = _request_while(lambda: attacker.poll() is None, server.port, path, token)
            cpu = (server.cpu_s - used_s) / (time.monotonic() - start_s)
            done = json.loads(attacker.stdout.read())  # type: ignore[union-attr]
        finally:
            attacker.kill()
    if not done["rounds"]:
        raise RuntimeError("the attack did not reach the server")
    percentiles = quantiles(latencies_ms, n=100)
    quiet = quantiles(quiet_ms, n=100)
    return Round(
        percentiles[49],
        percentiles[98],
        quiet[98],
        cpu,
        failed,
        log.stat().st_size - before,
        done["sentBytes"],
    )


def _request_while(
    condition: Callable[[], bool], port: int, path: str, token: str
) -> tuple[list[float], int]:
    """Send at least ten requests. Returns the latencies in ms, and the number of failed requests."""
    latencies_ms, failed = [], 0
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    while len(latencies_ms) < 10 or condition():
        start_s = time.monotonic()
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            response = connection.getresponse()
            response.read()
            failed += response.status != 200
        except (OSError, http.client.HTTPException):
            connection.close()  # the next request reopens it
            failed += 1
        latencies_ms.append((time.monotonic() - start_s) * 1_000)
        time.sleep(PAUSE_S)
    connection.close()
    return latencies_ms, failed
