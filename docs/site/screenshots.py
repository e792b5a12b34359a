"""Renews the pictures in ``docs/images`` from a running system: ``make screenshots``.

Starts a system of its own, runs operations with different outcomes, and records the pages in Chromium.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
CHROMIUM = ROOT / "tests" / "browser" / "node" / "unpacked"
SIZE = {"width": 1_200, "height": 750}
FRAME_MS, FRAMES = 400, 32  # of the animation
ANIMATION_WIDTH = 800
START_S, END_S = 60, 120  # how long the system may take to start, and an operation to end
OPERATION = {
    "tokenAddress": "9FdjJ7S6g5LjAKFANKTm4WmAexYhHGusGFGi4VxEpump",
    "userId": "demo",
    "userChatId": 1,
    "mode": "standard",
    "buyAmount": 1.0,
    "walletCount": 8,
    "platform": "pumpfun",
}
# Different outcomes: full, partial, none, and one of another user.
ENDED = [
    {"mode": "prefunded"},
    {"walletCount": 20},
    {"buyAmount": 5_000.0},
    {"userId": "anna", "walletCount": 3},
]


def free_port() -> int:
    """Return a port that no program uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def called(url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the data of a REST call."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        answer: dict[str, Any] = json.load(response)["data"]
        return answer


@contextmanager
def running_system() -> Iterator[str]:
    """Yield the address of a system with tokens turned off, some failing buys and visible latency."""
    directory, port = tempfile.mkdtemp(prefix="cto-"), free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith("CTO_")} | {
        "CTO_AUTH": "off",
        "CTO_DATA_DIR": directory,
        "CTO_OPERATION_PARALLELISM": "3",
        "CTO_PAPER_FAILURE_RATE": "0.1",
        "CTO_PAPER_LATENCY_MS": "1000",
        "CTO_PORT": str(port),
    }
    command = [Path(sys.executable).parent / "cto", "up", "--no-flower"]
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        wait(lambda: called(f"{url}/readyz"), START_S)
        yield url
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(directory, ignore_errors=True)


def wait(attempt: Any, seconds: float) -> None:
    """Call a function until it returns something true. Raises ``TimeoutError``."""
    deadline_s = time.monotonic() + seconds
    while time.monotonic() < deadline_s:
        try:
            if attempt():
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise TimeoutError(f"nothing happened within {seconds} s")


def submitted(url: str, **changes: Any) -> str:
    """Start an operation, and return its job id."""
    job_id: str = called(f"{url}/api/cto/jobs", OPERATION | changes)["jobId"]
    return job_id


def run_to_the_end(url: str, **changes: Any) -> str:
    """Run an operation, and return its job id."""
    job_id = submitted(url, **changes)
    status = f"{url}/api/cto/job/{job_id}/status"
    wait(lambda: called(status)["status"] in {"completed", "failed"}, END_S)
    return job_id


def picture(page: Page) -> Image.Image:
    """Return what the page shows now."""
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def save(page: Page, name: str) -> None:
    """Save what the page shows now."""
    picture(page).save(IMAGES / f"{name}.webp", quality=80, method=6)


def animate(page: Page, name: str) -> None:
    """Record the page for some seconds."""
    frames = []
    for _ in range(FRAMES):
        frame = picture(page)
        height = frame.height * ANIMATION_WIDTH // frame.width
        frames.append(frame.resize((ANIMATION_WIDTH, height), Image.Resampling.LANCZOS))
        page.wait_for_timeout(FRAME_MS)
    first, *others = frames
    first.save(
        IMAGES / f"{name}.webp", save_all=True, append_images=others, duration=FRAME_MS, loop=0, quality=60
    )


def main() -> None:
    """Write every picture."""
    IMAGES.mkdir(exist_ok=True)
    env = os.environ | {
        "LD_LIBRARY_PATH": str(CHROMIUM / "al2023" / "lib"),
        "FONTCONFIG_PATH": str(CHROMIUM / "fonts"),
    }
    with running_system() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM / "chromium", env=env, args=["--no-sandbox", "--no-zygote"]
        )
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto(url)
        done = [run_to_the_end(url, **changes) for changes in ENDED]
        submitted(url)
        page.goto(url)
        page.wait_for_timeout(3_000)
        save(page, "operations")
        page.goto(f"{url}/operations/{done[1]}")
        page.wait_for_timeout(3_000)
        save(page, "operation")
        page.goto(url)
        running = submitted(url, walletCount=15)
        page.goto(f"{url}/operations/{running}")
        animate(page, "live")
        browser.close()
    for image in sorted(IMAGES.glob("*.webp")):
        print(f"{image.relative_to(ROOT)}: {image.stat().st_size / 1_000:.0f} kB")


if __name__ == "__main__":
    main()
