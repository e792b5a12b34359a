"""More jobs in the store: what an answer costs, and what a job takes."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from benchmarks.gateway import serving
from benchmarks.scale.curves import Panel, Study
from benchmarks.system import BODY, embedded_store, wait_until
from benchmarks.worker import worker_on
from cto_worker import keys
from cto_worker.config import Settings
from cto_worker.store import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

JOBS = [100, 1_000, 10_000, 100_000, 1_000_000]
REAL = 100  # that are run; the others are copies of these, with ids, owners and serial numbers of their own
USERS = 1_000
ASKED, ROUNDS = 500, 300
USER = "user-7"
# COPY keeps values and times to live. What tells jobs apart is written anew; events stay as they were.
COPY = """
local from, first, count, users, jobs = unpack(ARGV)
for number = first, first + count - 1 do
  local id, user = string.format("%08d-0000-4000-8000-000000000000", number), "user-" .. number % users
  for _, prefix in ipairs({ "cto:job:", "cto:events:", "cto:intents:", "celery-task-meta-" }) do
    redis.call("COPY", prefix .. from, prefix .. id)
  end
  redis.call("HSET", "cto:job:" .. id, "serial", number, "user", user)
  for _, owner in ipairs({ user, "*" }) do
    redis.call("ZADD", jobs .. owner .. ":all", number, id)
    redis.call("ZADD", jobs .. owner .. ":completed", number, id)
  end
end
"""


def study() -> Study:
    """What status, list and statistics take with a hundred to a million finished jobs, and their memory."""
    asked: dict[str, list[float]] = {}
    memory_gb = []
    with embedded_store("no") as environment, connect(Settings.from_env(environment)) as store:
        with worker_on(environment) as worker:
            real = [
                worker.producer.submit(BODY | {"mode": mode, "walletCount": 3, "userId": USER}).job_id
                for _ in range(REAL // 2)
                for mode in ("standard", "prefunded")
            ]
            wait_until(lambda: worker.history.stats(real).completed == REAL, interval_s=0.1)
        store.config_set("appendonly", "no")  # a million jobs are to be asked about, not to be kept
        copy, there = store.register_script(COPY), REAL
        for size in JOBS:
            while there < size:
                some = min(10_000, size - there)
                args = [real[there // 10_000 % REAL], there, some, USERS, keys.LIST_PREFIX]
                copy(args=args)
                there += some
            memory_gb.append(store.info("memory")["used_memory"] / 2**30)
            for what, ms in _answers(environment, real, there):
                asked.setdefault(what, []).append(ms)
    return Study(
        "Jobs in the store",
        "finished jobs",
        JOBS,
        [
            Panel("ms for an answer", asked),
            Panel("GB of memory", {"measured": memory_gb}, log=True),
        ],
        log=True,
    )


def _answers(environment: dict[str, str], real: list[str], there: int) -> Iterator[tuple[str, float]]:
    """How long each question takes, asked in turn so that noise is everybody's."""
    ids = [f"{number:08d}-0000-4000-8000-000000000000" for number in range(there - ASKED, there)]
    known = [*real, *(one for one in ids if there > REAL + ASKED)][-ASKED:]
    paths = {
        "status of a job": f"/api/cto/job/{known[-1]}/status",
        "a user's newest 20": f"/api/cto/jobs?limit=20&userId={USER}",
        "everybody's newest 20": "/api/cto/jobs?limit=20",
        "20 from the middle": f"/api/cto/jobs?limit=20&cursor={there // 2 + 1}",
        f"statistics of {ASKED}": f"/api/cto/jobs/stats?jobIds={','.join((known * 5)[:ASKED])}",
    }
    with serving("api.wsgi", environment) as gateway:
        taken: dict[str, list[float]] = {what: [] for what in paths}
        for _ in range(ROUNDS):
            for what, path in paths.items():
                taken[what].append(gateway.ms(path))
    for what, ms in taken.items():
        yield what, median(ms)
