"""The gateway: status of a job against one Redis GET, and statistics of 500 jobs against a status."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.http_client import ConnectionRegistry
from benchmarks.system import BODY, embedded_store, free_port, listens, process, wait_until
from benchmarks.worker import worker_on

if TYPE_CHECKING:
    from collections.abc import Iterator

JOBS = 500  # the maximum of one statistics request
AT_ONCE = 8  # connections, enough to keep a server busy


def status_against_bare_view(count: int = 2_000, rounds: int = 5) -> tuple[float, float]:
    """Return requests/s of the status view, and of a Flask view with one Redis GET on the same server."""
    with embedded_store() as environment, ExitStack() as stack:
        job = _finished_jobs(environment, 1)[0]
        gateway = stack.enter_context(serving("api.wsgi", environment))
        bare = stack.enter_context(serving("benchmarks.bare_app", environment))
        status, bare_view = f"/api/cto/job/{job}/status", f"/bare/{job}"
        gateway.requests_per_s(status, AT_ONCE * 20)
        bare.requests_per_s(bare_view, AT_ONCE * 20)
        statuses, bare_views = [], []
        for _ in range(rounds):
            bare_views.append(bare.requests_per_s(bare_view, count))
            statuses.append(gateway.requests_per_s(status, count))
    return median(statuses), median(bare_views)


def stats_against_status(rounds: int = 300) -> tuple[float, float]:
    """Return the ms of a statistics request for 500 jobs, and of a status request for one of them.

    Both alternate on one connection.
    """
    with embedded_store() as environment:
        jobs = _finished_jobs(environment, JOBS)
        statistics = f"/api/cto/jobs/stats?jobIds={','.join(jobs)}"
        with serving("api.wsgi", environment) as gateway:
            if b'"completed":500' not in gateway.get(statistics):
                raise RuntimeError("not the statistics of 500 completed jobs")
            pairs = [
                (gateway.ms(statistics), gateway.ms(f"/api/cto/job/{jobs[index % JOBS]}/status"))
                for index in range(rounds)
            ]
    return median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)


def _finished_jobs(environment: dict[str, str], count: int) -> list[str]:
    """Run jobs until they end. Returns their ids."""
    with worker_on(environment) as worker:
        jobs = [worker.producer.submit(BODY).job_id for _ in range(count)]
        wait_until(lambda: worker.history.stats(jobs).completed == count, interval_s=0.1)
    return jobs


@contextmanager
def serving(module: str, environment: dict[str, str]) -> Iterator[ConnectionRegistry]:
    """Run a server as a process while the block runs. Yields connections to it."""
    port = free_port()
    with process(["-m", module], environment | {"CTO_PORT": str(port)}):
        wait_until(lambda: listens(port))
        connections = ConnectionRegistry(port, AT_ONCE)
        try:
            yield connections
        finally:
            connections.close()
