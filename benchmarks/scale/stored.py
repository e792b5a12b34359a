"""The cost of more jobs in the store that wait for the archive: response times, and memory of a job."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.gateway import serving
from benchmarks.scale.curves import Panel, Study
from benchmarks.system import BODY, client, embedded_store, wait_until
from benchmarks.worker import worker_on
from cto_worker.store import keys

if TYPE_CHECKING:
    from redis import Redis

    from benchmarks.http_client import ConnectionRegistry

JOBS = [100, 1_000, 10_000, 100_000, 1_000_000]
REAL = 100  # jobs that run; the others are copies with new ids, owners and serial numbers
USERS = 5
IN_STATISTICS, ROUNDS = 100, 500
WALLETS = [1, 5, 10, 20, 50]
CONSTANTS = (USERS, keys.LIST_PREFIX, keys.UNARCHIVED_PREFIX, keys.SERIAL)
# COPY keeps values and times to live. Only id, owner and serial number are new; events stay unchanged.
COPY = """
local from, first, count, users, jobs, unarchived, serial = unpack(ARGV)
for number = first, first + count - 1 do
  local id, user = string.format("%08d-0000-4000-8000-000000000000", number), "user-" .. number % users
  for _, prefix in ipairs({ "cto:job:", "cto:events:", "cto:intents:", "celery-task-meta-" }) do
    redis.call("COPY", prefix .. from, prefix .. id)
  end
  redis.call("HSET", "cto:job:" .. id, "serial", number + 1, "user", user, "created", number)
  for _, owner in ipairs({ user, "*" }) do
    redis.call("ZADD", jobs .. owner .. ":all", number + 1, id)
    redis.call("ZADD", jobs .. owner .. ":completed", number + 1, id)
    redis.call("ZADD", unarchived .. owner, number, id)
  end
end
redis.call("SET", serial, first + count) -- without this, gateways would catch up with all copies
"""


@dataclass
class Filled:
    """A store with finished jobs."""

    environment: dict[str, str]
    store: Redis
    real: list[str]
    copies: int = 0

    def fill(self, size: int) -> None:
        """Add copies until the store has ``size``."""
        copy = self.store.register_script(COPY)
        while self.copies < size:
            count = min(10_000, size - self.copies)
            original = self.real[self.copies // 10_000 % REAL]
            copy(args=[original, self.copies, count, *CONSTANTS])
            self.copies += count
        if self.store.zcard(keys.jobs(keys.ALL_OWNERS, "completed")) != size + REAL:
            raise RuntimeError(f"the store does not have {size} copies")

    @property
    def bytes_used(self) -> int:
        """Memory of the store."""
        return self.store.info("memory")["used_memory"]

    def paths(self) -> dict[str, str]:
        """Return the measured requests: name → path."""
        ids = [
            f"{number:08d}-0000-4000-8000-000000000000"
            for number in range(self.copies - IN_STATISTICS, self.copies)
        ]
        return {
            "status of a job": f"/api/cto/job/{ids[-1]}/status",
            "a user's newest 20": f"/api/cto/jobs?limit=20&userId=user-{USERS - 1}",
            "newest 20 of all users": "/api/cto/jobs?limit=20",
            "20 from the middle": f"/api/cto/jobs?limit=20&cursor={self.copies // 2}:{ids[0]}",
            f"statistics of {IN_STATISTICS}": f"/api/cto/jobs/stats?jobIds={','.join(ids)}",
        }


def study() -> Study:
    """Measure status, list and statistics with a hundred to a million finished jobs.

    Each request alternates between a growing store and one with a hundred jobs. The results are medians.
    """
    ratios: dict[str, list[float]] = {}
    times_ms: dict[str, list[float]] = {}
    memory_gb = []
    with ExitStack() as stack:
        few, many = (_filled(stack) for _ in range(2))
        few.fill(JOBS[0])
        for size in JOBS:
            many.fill(size)
            memory_gb.append(many.bytes_used / 2**30)
            for name, (few_ms, many_ms) in _response_times(few, many).items():
                times_ms.setdefault(name, []).append(many_ms)
                ratios.setdefault(name, []).append(many_ms / few_ms)
    return Study(
        "Jobs in the store",
        "finished jobs",
        JOBS,
        [
            Panel("response time / with 100 jobs in the store", ratios),
            Panel("response time, ms", times_ms),
            Panel("GB of memory", {"measured": memory_gb}, log=True),
        ],
        log=True,
    )


def _filled(stack: ExitStack) -> Filled:
    environment = stack.enter_context(embedded_store())
    store = stack.enter_context(client(environment))
    with worker_on(environment) as worker:
        real = [worker.producer.submit(BODY).job_id for _ in range(REAL)]
        wait_until(lambda: worker.history.stats(real).completed == REAL, interval_s=0.1)
    store.config_set("appendonly", "no")  # the jobs need not survive the benchmark
    return Filled(environment, store, real)


def _response_times(few: Filled, many: Filled) -> dict[str, tuple[float, float]]:
    """Return the median response times of each request in ms, of both stores."""
    times_ms: dict[str, list[tuple[float, float]]] = {}
    with serving("api.wsgi", few.environment) as small, serving("api.wsgi", many.environment) as large:
        _check(small, few)
        _check(large, many)
        for _ in range(ROUNDS):
            for (name, path), large_path in zip(few.paths().items(), many.paths().values(), strict=True):
                times_ms.setdefault(name, []).append((small.ms(path), large.ms(large_path)))
    return {name: tuple(map(median, zip(*pairs, strict=True))) for name, pairs in times_ms.items()}


def _check(gateway: ConnectionRegistry, filled: Filled) -> None:
    """Check that the measured responses contain jobs."""
    _, *lists, stats = (json.loads(gateway.get(path))["data"] for path in filled.paths().values())
    if any(len(page["jobs"]) != 20 for page in lists) or stats["completed"] != IN_STATISTICS:
        raise RuntimeError("the responses do not contain the expected jobs")


def memory_study() -> Study:
    """Measure the memory of one finished job by its wallets, without its list entries (0.5 kB)."""
    kinds = {"standard": "a transfer and a buy for each wallet", "prefunded": "a buy for each wallet"}
    kb: dict[str, list[float]] = {}
    with embedded_store() as environment, worker_on(environment) as worker:
        for mode, what in kinds.items():
            for wallets in WALLETS:
                body = BODY | {"mode": mode, "walletCount": wallets, "buyAmount": 0.01}
                jobs = [worker.producer.submit(body).job_id for _ in range(REAL)]
                wait_until(lambda jobs=jobs: worker.history.stats(jobs).completed == REAL, interval_s=0.1)
                used = sum(
                    worker.store.memory_usage(key(job), samples=0) or 0
                    for job in jobs
                    for key in (keys.job, keys.events, keys.intents, keys.meta)
                )
                kb.setdefault(what, []).append(used / REAL / 1024)
    return Study("One finished job", "wallets", WALLETS, [Panel("kB of memory", kb)])
