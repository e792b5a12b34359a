"""The frame rate of the dashboard in Chromium, during thousands of events."""

from __future__ import annotations

import itertools
import os
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import quantiles

import requests
from playwright.sync_api import sync_playwright

from benchmarks.system import BODY, embedded_store, free_port, listens, process, wait_until
from benchmarks.worker import worker_on

UNPACKED = Path(__file__).parents[1] / "tests" / "browser" / "node" / "unpacked"  # by `make test`
JOBS, WALLETS = 200, 10
IDLE_S, TIMEOUT_S = 4, 60
WATCH = """
window.frames = []; window.tasks = [0];
new PerformanceObserver((list) => tasks.push(...list.getEntries().map((entry) => entry.duration)))
  .observe({ type: "longtask" });
const draw = (at) => { frames.push(at); requestAnimationFrame(draw); };
requestAnimationFrame(draw);
"""


def frames_during_events() -> tuple[float, float, float, int]:
    """Return frames/s during events, frames/s without events, the longest task in ms, and the event count."""
    port = free_port()
    with ExitStack() as stack:
        environment = stack.enter_context(embedded_store())
        environment |= {"CTO_PAPER_LATENCY_MS": "100", "CTO_PORT": str(port)}
        stack.enter_context(worker_on(environment))
        stack.enter_context(process(["-m", "api.wsgi"], environment))
        playwright = stack.enter_context(sync_playwright())
        wait_until(lambda: listens(port))
        url = f"http://127.0.0.1:{port}"
        browser = playwright.chromium.launch(
            executable_path=UNPACKED / "chromium",
            env={**os.environ, "LD_LIBRARY_PATH": str(UNPACKED / "al2023" / "lib")},
            args=["--no-sandbox", "--no-zygote"],
        )
        page = browser.new_page(viewport={"width": 1_280, "height": 900})
        page.add_init_script(WATCH)
        page.goto(f"{url}/?room=user_bench")
        page.wait_for_selector("#connection[data-state=live]")
        page.wait_for_timeout(IDLE_S * 1_000)
        idle = _frames_per_s(page)
        events = _run_jobs(url)
        page.wait_for_selector(f"#totals dd:text-is('{JOBS}')")
        busy, longest_ms = _frames_per_s(page), page.evaluate("Math.max(...window.tasks)")
        browser.close()
    return busy, idle, longest_ms, events


def _frames_per_s(page) -> float:
    """Return the rate of the slowest 5 % of the frames since the last call: users notice those."""
    times_ms = page.evaluate("window.frames.splice(0)")
    durations_ms = [later - earlier for earlier, later in itertools.pairwise(times_ms)]
    return 1_000 / quantiles(durations_ms, n=20)[-1]


def _run_jobs(url: str) -> int:
    body = BODY | {"walletCount": WALLETS, "buyAmount": 0.2}
    job_ids = [
        requests.post(f"{url}/api/cto/jobs", json=body, timeout=10).json()["data"]["jobId"]
        for _ in range(JOBS)
    ]
    deadline_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline_s:
        stats = requests.get(f"{url}/api/cto/jobs/stats", {"jobIds": ",".join(job_ids)}, timeout=10).json()[
            "data"
        ]
        if stats["completed"] == JOBS:
            return JOBS * (WALLETS + 5)
        time.sleep(0.1)
    raise TimeoutError(f"the jobs did not complete within {TIMEOUT_S} s: {stats}")
