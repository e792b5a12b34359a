"""Takeovers, read from the workers' logs: which worker ran each attempt of a job, and when it began."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime

JSON_LOGS = {"CTO_LOG_FORMAT": "json"}  # the settings of a system whose logs this module reads


@dataclass(frozen=True)
class Run:
    """One attempt of a job."""

    worker: object  # the process
    began_ms: int


@dataclass
class Takeovers:
    """The takeovers of some jobs.

    A takeover is false if the worker of the earlier run was alive. A living worker logs each run. So a run
    that is not in a log was killed right after its claim, and the times from and to it are not known.
    """

    waits_s: list[float] = field(default_factory=list)  # from a kill to the next run
    false: list[str] = field(default_factory=list)
    unlogged: int = 0  # runs


def runs_of(system):
    """Return all logged runs of a system by job id and attempt."""
    runs = {}
    for worker in system.workers:
        for line in worker.log.read_text().splitlines():
            entry = _entry(line)
            if str(entry.get("event")).startswith("started: "):
                runs[entry["job_id"], entry["attempt"]] = Run(worker, _ms(entry["timestamp"]))
    return runs


def takeovers(system, job_ids, killed_ms):
    """Return the takeovers of these jobs. ``killed_ms`` has the time of each kill by worker."""
    found, runs = Takeovers(), runs_of(system)
    for job_id in job_ids:
        events = system.events(job_id)
        began_ms = {attempt: run.began_ms for (job, attempt), run in runs.items() if job == job_id}
        began_ms |= {event["attempt"]: event["timestamp"] for event in reversed(events)}  # the first event
        for attempt in range(1, events[-1]["attempt"]):
            lost = runs.get((job_id, attempt))
            resumed_ms = min(ms for later, ms in began_ms.items() if later > attempt)
            if lost is None:
                found.unlogged += 1
            elif killed_ms.get(lost.worker, resumed_ms + 1) > resumed_ms:
                found.false.append(f"attempt {attempt + 1} of {job_id}")
            elif attempt + 1 in began_ms:
                found.waits_s.append((resumed_ms - killed_ms[lost.worker]) / 1000)
    return found


def _entry(line):
    try:
        return json.loads(line)
    except ValueError:  # the worker was killed while it wrote the line
        return {}


def _ms(timestamp):
    return round(datetime.fromisoformat(timestamp).timestamp() * 1000)
