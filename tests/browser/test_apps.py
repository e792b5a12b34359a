"""Apps of other origins than the gateway, built with the package that the gateway serves to npm."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.documents import all_blocks
from support.javascript import APPS, NODE, NPM

MODULES = APPS / "node_modules"
TSC, VUE_TSC = MODULES / "typescript" / "bin" / "tsc", MODULES / "vue-tsc" / "bin" / "vue-tsc.js"
VITE, NEXT = MODULES / "vite" / "bin" / "vite.js", MODULES / "next" / "dist" / "bin" / "next"
QUIETLY = ("--silent", "--no-audit", "--no-fund", "--no-package-lock")


@dataclass(frozen=True)
class App:
    """The commands that build an app, and the folder that they write."""

    commands: tuple[tuple[str | Path, ...], ...]
    output: str


VITE_BUILD = (VITE, "build", "--logLevel", "warn")
BUILT = {
    "plain": App((), "."),
    "react": App(((TSC, "--noEmit"), VITE_BUILD), "dist"),
    "vue": App(((VUE_TSC, "--noEmit"), VITE_BUILD), "dist"),
    "next": App(((NEXT, "build"),), "out"),
}


def run(folder, *command):
    env = os.environ | {"NEXT_TELEMETRY_DISABLED": "1"}
    done = subprocess.run(
        [NODE, *command], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def folder():
    """A folder for an app, in which it finds the packages of APPS/node_modules."""
    APPS.joinpath(".build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=APPS / ".build") as name:
        folder = Path(name)
        (folder / "package.json").write_text('{ "private": true, "type": "module" }')
        yield folder


def install(folder, gateway):
    """Install the package from a gateway. No other package is installed."""
    run(folder, NPM, "install", *QUIETLY, f"{gateway.url}/client/cto-progress.tgz")
    installed = {path.name for path in (folder / "node_modules").iterdir()}
    assert installed == {".package-lock.json", "cto-progress"}
    return folder / "node_modules" / "cto-progress"


@pytest.mark.timeout(400)  # a busy machine needs a minute for Next.js
@pytest.mark.parametrize("name", BUILT)
def test_an_app_of_another_origin_shows_a_live_operation(gateway, file_site, folder, page, name):
    package = install(folder, gateway)
    source = shutil.copytree(APPS / name, folder / name)
    shutil.copy(APPS / "tsconfig.json", folder)
    if name == "plain":
        shutil.copytree(package / "src", source / "cto-progress")
    app = BUILT[name]
    for command in app.commands:
        run(source, *command)
    address = file_site.mount(name, source / app.output)
    user = f"app-{name}"
    page.goto(f"{address}/index.html?url={gateway.url}&user={user}")
    page.get_by_role("button", name="Start an operation").click()
    page.get_by_text("100 %").first.wait_for()
    (job,) = gateway.get("/api/cto/jobs", userId=user)["jobs"]
    page.get_by_text(f"{job['latestProgress']['seq']} events, 100 %").wait_for()
    if name != "next":
        page.get_by_text("CTO Operation Completed").wait_for()


def test_the_documented_components_in_typescript_compile(gateway, folder):
    install(folder, gateway)
    shutil.copy(APPS / "tsconfig.json", folder)
    documented = [each for each in all_blocks() if each.language == "tsx"]
    assert documented
    for number, each in enumerate(documented):
        (folder / f"block-{number}.tsx").write_text(each.code)
    run(folder, TSC, "--noEmit")


SERVER = """
import { createSSRApp, h } from "vue";
import { renderToString } from "vue/server-renderer";
import { connect } from "cto-progress";
import { provideCTO, useCTOConnection, useCTOHistory, useCTOJob, useCTOJobs } from "cto-progress/vue";

const client = connect({ url: "http://gateway" });
const app = createSSRApp({
  setup() {
    const { progress, isPending } = useCTOJob("one");
    const [jobs, history, connection] = [useCTOJobs({ user: "7" }), useCTOHistory(), useCTOConnection()];
    const shown = [progress, isPending, jobs.isPending, history.isPending];
    return () => h("p", `${shown.map(({ value }) => value)} ${connection.value.state}`);
  },
});
provideCTO(client, app);
const html = await renderToString(app);
setTimeout(() => {
  console.log(html, client.connection.state); // a connection would have begun by now
  process.exit();
});
"""


def test_vue_renders_on_a_server_without_a_connection(gateway, folder):
    install(folder, gateway)
    (folder / "server.js").write_text(SERVER)
    assert run(folder, "server.js") == "<p>0,true,true,true idle</p> idle\n"
