"""The dashboard in a real Chromium, while thousands of events come."""

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
IDLE_S, ENDS_S = 4, 60
WATCH = """
window.frames = []; window.tasks = [0];
new PerformanceObserver((list) => tasks.push(...list.getEntries().map((entry) => entry.duration)))
  .observe({ type: "longtask" });
const draw = (at) => { frames.push(at); requestAnimationFrame(draw); };
requestAnimationFrame(draw);
"""


def frames_while_events_come() -> tuple[float, float, float, int]:
    """Frames per second while events come, and while none do; the longest task, in ms; how many events."""
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
    """Of the slowest twentieth of the frames since the last time: who looks sees those."""
    at_ms = page.evaluate("window.frames.splice(0)")
    took_ms = [later - earlier for earlier, later in itertools.pairwise(at_ms)]
    return 1_000 / quantiles(took_ms, n=20)[-1]


def _run_jobs(url: str) -> int:
    body = BODY | {"walletCount": WALLETS, "buyAmount": 0.2}
    job_ids = [
        requests.post(f"{url}/api/cto/jobs", json=body, timeout=10).json()["data"]["jobId"]
        for _ in range(JOBS)
    ]
    ends_s = time.monotonic() + ENDS_S
    while time.monotonic() < ends_s:
        stats = requests.get(f"{url}/api/cto/jobs/stats", {"jobIds": ",".join(job_ids)}, timeout=10).json()[
            "data"
        ]
        if stats["completed"] == JOBS:
            return JOBS * (WALLETS + 5)
        time.sleep(0.1)
    raise TimeoutError(f"after {ENDS_S} s only this is done: {stats}")
