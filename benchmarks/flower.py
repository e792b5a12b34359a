"""The memory of Flower over many jobs: ``python -m benchmarks.flower [JOBS] [CTO_FLOWER_TASKS]``.

A real Flower receives the Celery events of JOBS jobs. The workers' names change, as those of containers do.
The table shows Flower's resident memory and the number of tasks and workers that it keeps.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import requests

from benchmarks.system import BODY, embedded_store, free_port
from cto_worker.config import Settings
from cto_worker.jobs.celery_app import celery_app

PASSWORD = "a password of some length"
JOBS_PER_WORKER = 20
SAMPLES = 10  # rows of the table


def send_events(dispatcher, job):
    """Send the Celery events of one job, from its start to its end. Returns the job's id."""
    uuid = str(uuid4())
    dispatcher.hostname = f"worker@{job // JOBS_PER_WORKER:012x}"
    names = {"name": "cto_worker.run_operation", "args": repr((BODY,)), "kwargs": "{}", "retries": 0}
    dispatcher.send("worker-heartbeat", freq=2, active=1, processed=job)
    dispatcher.send("task-received", uuid=uuid, root_id=uuid, parent_id=None, eta=None, expires=None, **names)
    dispatcher.send("task-started", uuid=uuid)
    for phase in (2, 3, 4):
        dispatcher.send("task-progress", uuid=uuid, result=f"phase {phase} of 5: Executing Operation")
    dispatcher.send("task-succeeded", uuid=uuid, runtime=0.1, result=repr({"signatures": ["5" * 88] * 8}))
    return uuid


def megabytes(process):
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1_000


def kept(url, job):
    """Wait until Flower has received ``job``. Returns the numbers of tasks and workers that it keeps."""
    with requests.Session() as session:
        session.auth = ("operator", PASSWORD)
        while not session.get(f"{url}/api/task/info/{job}", timeout=60).ok:
            time.sleep(0.2)
        tasks = session.get(f"{url}/api/tasks", timeout=60).json()
        workers = session.get(f"{url}/workers?json=1", timeout=60).json()["data"]
    return len(tasks), len(workers)


def main(jobs=10_000, tasks=5_000):
    with embedded_store() as environment:
        port = free_port()
        environment |= {"CTO_FLOWER_PORT": str(port), "CTO_FLOWER_PASSWORD": PASSWORD}
        environment |= {"CTO_FLOWER_TASKS": str(tasks)}
        process = subprocess.Popen(
            [sys.executable, "-m", "cto_worker.observability.flower"],
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        app = celery_app(Settings.from_env(environment))
        try:
            with app.events.default_dispatcher() as dispatcher:
                wait_until_receiving(f"http://127.0.0.1:{port}", dispatcher)
                print(f"{'jobs':>8} {'MB':>8} {'tasks':>8} {'workers':>8}   (CTO_FLOWER_TASKS={tasks})")
                for sample in range(SAMPLES):
                    for job in range(sample * jobs // SAMPLES, (sample + 1) * jobs // SAMPLES):
                        last = send_events(dispatcher, job)
                    kept_tasks, kept_workers = kept(f"http://127.0.0.1:{port}", last)
                    print(
                        f"{job + 1:>8} {megabytes(process):>8.1f} {kept_tasks:>8} {kept_workers:>8}",
                        flush=True,
                    )
        finally:
            process.terminate()
            process.wait(30)
            app.close()


def wait_until_receiving(url, dispatcher):
    while True:
        job = send_events(dispatcher, 0)
        time.sleep(0.5)
        try:
            if requests.get(f"{url}/api/task/info/{job}", auth=("operator", PASSWORD), timeout=10).ok:
                return
        except requests.RequestException:
            pass


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
