"""The frame rate of the console in Chromium: during thousands of events, and while 10,000 rows scroll."""

from __future__ import annotations

import itertools
import os
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING

import requests
from playwright.sync_api import sync_playwright

from benchmarks.system import BODY, client, embedded_store, free_port, listens, process, wait_until
from benchmarks.worker import worker_on
from cto_worker.archive.database import connect
from cto_worker.archive.job_archive import archive
from cto_worker.archive.schema_preparation import prepare
from cto_worker.config import Settings
from cto_worker.domain.ended_job import EndedJob
from cto_worker.store import keys
from cto_worker.store.journal_queries import JournalQueries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

UNPACKED = Path(__file__).parents[1] / "tests" / "browser" / "node" / "unpacked"  # by `make test`
JOBS, WALLETS = 200, 10
EVENTS = JOBS * (WALLETS + 5)
ROWS, ARCHIVED_AT_ONCE = 10_000, 1_000
IDLE_S, TIMEOUT_S = 4, 60
SCROLLED_PX, SCROLLED_S = 60, 4  # per frame; about 4,000 px per second
WATCH = """
window.frames = []; window.tasks = [0];
new PerformanceObserver((list) => tasks.push(...list.getEntries().map((entry) => entry.duration)))
  .observe({ type: "longtask" });
const draw = (at) => { frames.push(at); requestAnimationFrame(draw); };
requestAnimationFrame(draw);
"""
SCROLL = """([step, ms]) => new Promise((resolve) => {
  const frame = document.querySelector(".frame");
  const end = performance.now() + ms;
  const next = () => {
    frame.scrollTop += step;
    if (performance.now() < end) requestAnimationFrame(next); else resolve();
  };
  frame.scrollTop = 0;
  next();
})"""


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames per second in the slowest 5 % of the time, and the longest task in ms."""

    busy: float
    idle: float
    longest_ms: float


def frames_during_events() -> Frames:
    """Measure while the list shows :data:`JOBS` running operations, with :data:`EVENTS` events."""
    with _console({"CTO_PAPER_LATENCY_MS": "100"}) as (page, url, _):
        page.goto(f"{url}/?userId=bench")
        page.wait_for_selector("#connection[data-state=live]")
        page.wait_for_timeout(IDLE_S * 1_000)
        idle = _frames_per_s(page)
        _run_jobs(url, JOBS)
        page.wait_for_selector(f".list-count:text-is('{JOBS} operations')")
        return Frames(_frames_per_s(page), idle, page.evaluate("Math.max(...window.tasks)"))


def frames_while_scrolling() -> Frames:
    """Measure while a list with :data:`ROWS` rows scrolls."""
    with _console({}) as (page, url, environment):
        _run_jobs(url, 1)
        _fill_archive(environment, ROWS - 1)
        page.goto(f"{url}/?userId=bench")
        page.wait_for_selector(".t-total dd:text-is('10,000')")
        page.wait_for_selector(".frame")
        _load_all_rows(page)
        page.wait_for_timeout(IDLE_S * 1_000)
        page.evaluate("window.frames.length = 0; window.tasks.length = 1")
        page.wait_for_timeout(IDLE_S * 1_000)
        idle = _frames_per_s(page)
        page.evaluate(SCROLL, [SCROLLED_PX, SCROLLED_S * 1_000])
        return Frames(_frames_per_s(page), idle, page.evaluate("Math.max(...window.tasks)"))


@contextmanager
def _console(settings: dict[str, str]) -> Iterator[tuple[Page, str, dict[str, str]]]:
    """Run a system and a browser while the block runs. Yields a page, the gateway's URL and the settings."""
    port = free_port()
    with ExitStack() as stack:
        environment = stack.enter_context(embedded_store()) | {"CTO_PORT": str(port)} | settings
        engine = connect(Settings.from_env(environment))
        prepare(engine)
        engine.dispose()
        stack.enter_context(worker_on(environment))
        stack.enter_context(process(["-m", "api.wsgi"], environment))
        playwright = stack.enter_context(sync_playwright())
        wait_until(lambda: listens(port))
        browser = playwright.chromium.launch(
            executable_path=UNPACKED / "chromium",
            env={**os.environ, "LD_LIBRARY_PATH": str(UNPACKED / "al2023" / "lib")},
            args=["--no-sandbox", "--no-zygote"],
        )
        page = browser.new_page(viewport={"width": 1_280, "height": 900})
        page.set_default_timeout(TIMEOUT_S * 1_000)
        page.add_init_script(WATCH)
        yield page, f"http://127.0.0.1:{port}", environment
        browser.close()


def _frames_per_s(page: Page) -> float:
    """Return the rate of the slowest 5 % of the frames since the last call: users notice those."""
    times_ms = page.evaluate("window.frames.splice(0)")
    durations_ms = [later - earlier for earlier, later in itertools.pairwise(times_ms)]
    return 1_000 / quantiles(durations_ms, n=20)[-1]


def _load_all_rows(page: Page) -> None:
    """Scroll to the end until every row is loaded. Each time, the console requests the next page."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while not page.get_by_text("End of the list").is_visible():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"the list was not loaded within {TIMEOUT_S} s")
        page.evaluate("document.querySelector('.frame').scrollTop = 1e9")
        page.wait_for_timeout(50)


def _fill_archive(environment: dict[str, str], count: int) -> None:
    """Archive copies of the only job in the store, all of them older."""
    with client(environment) as store:
        job_id = store.zrange(keys.jobs(keys.ALL_OWNERS, "all"), 0, 0)[0].decode()
        details = JournalQueries(store).job_details(job_id)
        created_ms, request = store.hmget(keys.job(job_id), "created", "request")
        intents = {name.decode(): text for name, text in store.hgetall(keys.intents(job_id)).items()}
    if details is None:
        raise RuntimeError(f"job {job_id} is not in the store")
    original = EndedJob(job_id, int(created_ms), request, details.events, details.result_json, intents)
    engine = connect(Settings.from_env(environment))
    copies = [
        replace(
            original,
            job_id=f"{number:08d}-0000-4000-8000-000000000000",
            created_ms=original.created_ms - number - 1,
        )
        for number in range(count)
    ]
    for first in range(0, count, ARCHIVED_AT_ONCE):
        archive(engine, copies[first : first + ARCHIVED_AT_ONCE])
    engine.dispose()


def _run_jobs(url: str, count: int) -> None:
    body = BODY | {"walletCount": WALLETS, "buyAmount": 0.2}
    job_ids = [
        requests.post(f"{url}/api/cto/jobs", json=body, timeout=10).json()["data"]["jobId"]
        for _ in range(count)
    ]
    deadline_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline_s:
        stats = requests.get(f"{url}/api/cto/jobs/stats", {"jobIds": ",".join(job_ids)}, timeout=10).json()[
            "data"
        ]
        if stats["completed"] == count:
            return
        time.sleep(0.1)
    raise TimeoutError(f"the jobs did not complete within {TIMEOUT_S} s: {stats}")
