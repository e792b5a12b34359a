"""More jobs in the store: what an answer costs, and what a job takes."""

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

    from benchmarks.http_client import Connections

JOBS = [100, 1_000, 10_000, 100_000, 1_000_000]
REAL = 100  # that are run; the others are copies of these, with ids, owners and serial numbers of their own
USERS = 5
ASKED, ROUNDS = 100, 500
WALLETS = [1, 5, 10, 20, 50]
# COPY keeps values and times to live. What tells jobs apart is written anew; events stay as they were.
COPY = """
local from, first, count, users, jobs, serial = unpack(ARGV)
for number = first, first + count - 1 do
  local id, user = string.format("%08d-0000-4000-8000-000000000000", number), "user-" .. number % users
  for _, prefix in ipairs({ "cto:job:", "cto:events:", "cto:intents:", "celery-task-meta-" }) do
    redis.call("COPY", prefix .. from, prefix .. id)
  end
  redis.call("HSET", "cto:job:" .. id, "serial", number + 1, "user", user)
  for _, owner in ipairs({ user, "*" }) do
    redis.call("ZADD", jobs .. owner .. ":all", number + 1, id)
    redis.call("ZADD", jobs .. owner .. ":completed", number + 1, id)
  end
end
redis.call("SET", serial, first + count) -- else gateways would think they had missed these
"""


@dataclass
class Filled:
    """A store with jobs."""

    environment: dict[str, str]
    store: Redis
    real: list[str]
    there: int = 0  # jobs, not counting those that are real

    def fill(self, size: int) -> None:
        """Copy until there are so many."""
        copy = self.store.register_script(COPY)
        while self.there < size:
            some = min(10_000, size - self.there)
            of = self.real[self.there // 10_000 % REAL]
            copy(args=[of, self.there, some, USERS, keys.LIST_PREFIX, keys.SERIAL])
            self.there += some
        if self.store.zcard(keys.jobs(keys.ALL_OWNERS, "completed")) != size + REAL:
            raise RuntimeError(f"not {size} copies of jobs that were run")

    @property
    def bytes_used(self) -> int:
        """Memory that all of it takes."""
        return self.store.info("memory")["used_memory"]

    def paths(self) -> dict[str, str]:
        """What is asked, and by which path."""
        ids = [
            f"{number:08d}-0000-4000-8000-000000000000" for number in range(self.there - ASKED, self.there)
        ]
        return {
            "status of a job": f"/api/cto/job/{ids[-1]}/status",
            "a user's newest 20": f"/api/cto/jobs?limit=20&userId=user-{USERS - 1}",
            "everybody's newest 20": "/api/cto/jobs?limit=20",
            "20 from the middle": f"/api/cto/jobs?limit=20&cursor={self.there // 2 + 1}",
            f"statistics of {ASKED}": f"/api/cto/jobs/stats?jobIds={','.join(ids)}",
        }


def study() -> Study:
    """What status, list and statistics take with a hundred to a million finished jobs.

    Each question is asked in turn of a store that grows and of one that keeps a hundred jobs; medians.
    """
    ratios: dict[str, list[float]] = {}
    asked: dict[str, list[float]] = {}
    memory_gb = []
    with ExitStack() as stack:
        few, many = (_filled(stack) for _ in range(2))
        few.fill(JOBS[0])
        for size in JOBS:
            many.fill(size)
            memory_gb.append(many.bytes_used / 2**30)
            for what, (of_few, of_many) in _answers(few, many).items():
                asked.setdefault(what, []).append(of_many)
                ratios.setdefault(what, []).append(of_many / of_few)
    return Study(
        "Jobs in the store",
        "finished jobs",
        JOBS,
        [
            Panel("time of an answer, beside a store with 100 jobs", ratios),
            Panel("ms for an answer", asked),
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
    store.config_set("appendonly", "no")  # they are to be asked about, not to be kept
    return Filled(environment, store, real)


def _answers(few: Filled, many: Filled) -> dict[str, tuple[float, float]]:
    """Milliseconds of each question, of both."""
    taken: dict[str, list[tuple[float, float]]] = {}
    with serving("api.wsgi", few.environment) as one, serving("api.wsgi", many.environment) as other:
        _check(one, few)
        _check(other, many)
        for _ in range(ROUNDS):
            for (what, path), big_path in zip(few.paths().items(), many.paths().values(), strict=True):
                taken.setdefault(what, []).append((one.ms(path), other.ms(big_path)))
    return {what: tuple(map(median, zip(*pairs, strict=True))) for what, pairs in taken.items()}


def _check(gateway: Connections, filled: Filled) -> None:
    """See that what is measured is answers with jobs in them."""
    _, *lists, stats = (json.loads(gateway.get(path))["data"] for path in filled.paths().values())
    if any(len(page["jobs"]) != 20 for page in lists) or stats["completed"] != ASKED:
        raise RuntimeError("not the answers that were to be measured")


def memory_study() -> Study:
    """What one finished job takes in the store, by its wallets; its places in lists (0.5 kB) not counted."""
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
