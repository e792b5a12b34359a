"""The site of the documentation: built strictly, and shown by a browser under the gateway's policy."""

from __future__ import annotations

import http.server
import shutil
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import expect
from support.waiting import wait_until

from api.server.security_headers import SECURITY_HEADERS

ROOT = Path(__file__).parents[2]


class FileHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files with the headers of the gateway."""

    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {".js": "text/javascript"}

    def end_headers(self):
        for header in SECURITY_HEADERS:
            self.send_header(*header)
        super().end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site."""
    folder = tmp_path_factory.mktemp("guide") / "guide"
    subprocess.run([sys.executable, ROOT / "docs" / "site" / "build.py", folder], check=True)
    return folder


@pytest.fixture(scope="module")
def address(site):
    """The address of a server of the site."""
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(FileHandler, directory=str(site.parent))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/guide"
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_page_loads_only_its_own_files_and_breaks_no_rule_of_the_policy(site, address, page):
    requested = []
    page.on("request", lambda request: requested.append(request.url))
    pages = sorted(site.glob("**/*.html"))
    assert len(pages) > 40
    for each in pages:
        page.goto(f"{address}/{each.relative_to(site)}")
        assert "CTO" in page.title(), each
    assert {url for url in requested if not url.startswith((address, "data:"))} == set()


def test_the_search_finds_pages_without_another_host(address, page):
    page.goto(f"{address}/index.html")
    page.locator(".sidebar-search").fill("idempotency key")
    page.keyboard.press("Enter")
    page.locator("#search-results a", has_text="Tutorial").first.wait_for()


def test_the_demonstration_simulates_operations_and_says_so(address, page, axe, screenshot):
    held = []
    page.route("**/simulate.js", lambda route: held.append(route))  # noqa: PLW0108 - Playwright needs its signature
    page.goto(f"{address}/index.html")
    page.get_by_role("link", name="the demonstration").click()
    page.get_by_text("Simulation.").wait_for()
    button = page.get_by_role("button", name="Start an operation")
    expect(button).to_be_disabled()  # without its scripts the page cannot start anything
    wait_until(lambda: page.wait_for_timeout(10) or held)
    held[0].continue_()
    page.get_by_label("Wallets").fill("2")
    button.click()
    page.locator("cto-progress").nth(3).wait_for()
    page.locator("li", has_text="of 2 bought").filter(has_text="Outcome:").wait_for()
    screenshot(page, "guide-demo")
    assert axe(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_have_no_serious_accessibility_finding(address, page, axe, screenshot, scheme):
    page.emulate_media(color_scheme=scheme)
    for name in ("index", "tutorial", "reference/settings", "reference/python-api", "glossary"):
        page.goto(f"{address}/{name}.html")
        screenshot(page, f"guide-{name.replace('/', '-')}-{scheme}")
        assert axe(page) == [], name


def test_a_broken_link_fails_the_build(tmp_path):
    copy = tmp_path / "project"
    for name in ("docs", "api", "benchmarks", "clients", "cto_worker", "deploy", "examples", "tests/support"):
        ignored = shutil.ignore_patterns("node_modules", "guide", "__pycache__")
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for file in [*ROOT.glob("*.md"), ROOT / "Procfile", ROOT / "pyproject.toml"]:
        shutil.copy(file, copy)
    build = [sys.executable, copy / "docs" / "site" / "build.py", tmp_path / "made"]
    for link in ("reference/no-such-page.md", "faq.md#no-such-section"):
        (copy / "docs" / "glossary.md").write_text(f"# Glossary\n\n[broken]({link})\n")
        done = subprocess.run(build, check=False, capture_output=True, text=True)
        assert done.returncode != 0
        assert "no-such" in done.stderr + done.stdout
