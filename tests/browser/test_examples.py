"""The examples of every framework, served from another origin than the gateway."""

from __future__ import annotations

import socket
import subprocess

import pytest
from support.javascript import CLIENT, NODE
from support.waiting import wait_until

ADD_ELEMENT = """([url, job]) => {
  const element = document.createElement("cto-progress");
  element.setAttribute("url", url);
  element.setAttribute("job", job);
  document.getElementById("jobs").append(element);
}"""
EXAMPLES = ["vanilla", "element", "react", "vue", "react-native"]


@pytest.fixture(scope="module")
def examples(file_site, tmp_path_factory):
    """The folder of the bundled examples. The site serves it at /dist, and the client's folder at /client."""
    folder = tmp_path_factory.mktemp("examples") / "dist"
    subprocess.run([NODE, "dev/examples.js", folder], cwd=CLIENT, check=True)
    file_site.mount("dist", folder)
    file_site.mount("client", CLIENT)
    return folder


@pytest.fixture(scope="module")
def site(file_site, examples):
    return file_site.url


def start_two(page):
    for _ in range(2):
        page.get_by_role("button", name="Start an operation").click()
    page.get_by_text("100 %").nth(1).wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_shows_operations_live(gateway, site, page, axe, screenshot, name, scheme):
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{site}/dist/{name}/?url={gateway.url}&user={name}-{scheme}")
    start_two(page)
    page.get_by_text("CTO Operation Completed").nth(1).wait_for()
    assert axe(page) == []
    screenshot(page, f"example-{name}-{scheme}")
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    screenshot(page, f"example-{name}-{scheme}-phone")


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_shows_its_operations_again_after_a_reload(gateway, site, page, name):
    user = f"{name}-reload"
    page.goto(f"{site}/dist/{name}/?url={gateway.url}&user={user}")
    start_two(page)
    page.evaluate("sessionStorage.clear()")
    page.reload()
    page.get_by_text("100 %").nth(1).wait_for()
    assert page.get_by_text("100 %").count() == 2
    assert len(gateway.get("/api/cto/jobs", userId=user)["jobs"]) == 2


@pytest.mark.parametrize("name", ["vanilla", "element"])
def test_an_example_without_a_framework_needs_no_bundler(gateway, site, page, name):
    page.goto(f"{site}/client/examples/{name}/?url={gateway.url}&user={name}-unbundled")
    start_two(page)


@pytest.mark.parametrize("name", ["vanilla", "element", "react", "vue"])
def test_an_example_runs_on_simulated_operations(site, page, name):
    page.goto(f"{site}/dist/{name}/?simulate")
    start_two(page)


def test_an_example_says_how_to_allow_its_origin(gateway, site, page, troubles):
    for expected in ("blocked by CORS policy", "Failed to load resource", "WebSocket connection"):
        troubles.expect(expected)
    foreign = site.replace("127.0.0.1", "localhost")  # another origin, which the gateway does not accept
    advice = f"add {foreign} to its CTO_CORS_ORIGINS, after a comma, and restart it"
    for name in EXAMPLES:
        page.goto(f"{foreign}/dist/{name}/?url={gateway.url}")
        page.get_by_role("button", name="Start an operation").click()
        page.get_by_text(advice).first.wait_for()
    page.goto(f"{foreign}/dist/element/?simulate")
    page.evaluate(ADD_ELEMENT, [gateway.url, "a-job"])
    page.get_by_text("Not connected").wait_for()
    page.get_by_role("alert").get_by_text(advice).wait_for()


def test_an_example_shows_that_the_gateway_does_not_answer(site, page, troubles):
    for expected in ("Failed to load resource", "WebSocket connection"):
        troubles.expect(expected)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        page.goto(f"{site}/dist/vanilla/?url=http://127.0.0.1:{silent.getsockname()[1]}")
        page.get_by_text("connecting").wait_for()
        page.get_by_text("the gateway does not answer").wait_for()


def test_the_element_shows_that_a_job_does_not_exist(gateway, site, page, axe):
    page.goto(f"{site}/client/examples/element/?simulate")
    page.evaluate(ADD_ELEMENT, [gateway.url, "unknown"])
    page.get_by_role("alert").get_by_text("no job").wait_for()
    assert axe(page) == []


def test_the_element_says_that_its_token_is_none(gateway, site, page):
    page.goto(f"{site}/client/examples/element/?simulate")
    page.evaluate(ADD_ELEMENT, [gateway.url, "unknown"])
    page.evaluate("document.querySelector('cto-progress').setAttribute('token', '<!doctype html>')")
    page.get_by_text("Not connected").wait_for()
    page.get_by_role("alert").get_by_text('token contains "<": pass one JSON Web Token').wait_for()
    page.evaluate("document.querySelector('cto-progress').removeAttribute('token')")
    page.get_by_role("alert").get_by_text("no job").wait_for()


def test_elements_share_a_connection_and_the_last_closes_it(gateway, site, page):
    page.goto(f"{site}/client/examples/element/?simulate")
    job_ids = [gateway.submit(userId="element", walletCount=50, buyAmount=1) for _ in range(3)]
    sockets = []
    page.on("websocket", lambda socket: sockets.append(socket))  # noqa: PLW0108
    page.evaluate(
        """([url, ...jobs]) => {
          window.ended = 0;
          document.addEventListener("cto-complete", () => { ended += 1; });
          for (const job of jobs) {
            const element = document.createElement("cto-progress");
            element.setAttribute("url", url);
            element.setAttribute("job", job);
            document.body.append(element);
          }
        }""",
        [gateway.url, *job_ids],
    )
    wait_until(lambda: page.evaluate("window.ended") == 3)
    assert len(sockets) == 1
    page.evaluate("document.querySelectorAll('cto-progress').forEach((element) => element.remove())")
    wait_until(lambda: page.evaluate("1") and sockets[0].is_closed())


HOOKS = """
import { createElement as h, StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { connect } from "cto-progress";
import { CTOProvider, useCTOJob, useCTOJobs } from "cto-progress/react";

const client = connect({ url: location.origin });
let openTrackers = 0;
for (const name of ["track", "trackUser"]) {
  const method = client[name].bind(client);
  client[name] = (...args) => {
    const tracker = method(...args);
    const close = tracker.close.bind(tracker);
    openTrackers += 1;
    tracker.close = () => { openTrackers -= 1; close(); };
    return tracker;
  };
}
window.openTrackers = () => openTrackers;
function Job({ id }) {
  const { progress, events } = useCTOJob(id);
  return h("p", null, `${id}: ${progress} ${events.length}`);
}
function Jobs({ ids }) {
  window.drawn = (window.drawn ?? 0) + 1;
  const { stats } = useCTOJobs([...ids]);
  return h("output", null, `${stats.completed} of ${stats.total}`);
}
function App() {
  const [{ ids, tick }, set] = useState({ ids: [], tick: 0 });
  window.show = (next) => set(({ ids, tick }) => ({ ids: next ?? ids, tick: tick + 1 }));
  return [h(Jobs, { key: "all", ids, tick }), ...ids.map((id) => h(Job, { key: id, id }))];
}
window.root = createRoot(document.getElementById("root"));
root.render(h(StrictMode, null, h(CTOProvider, { value: client }, h(App))));
"""


def test_hooks_track_only_the_shown_jobs(gateway, page, bundle):
    program = bundle(HOOKS)
    html = '<!doctype html><div id="root"></div><script type="module" src="/hooks.js"></script>'
    page.route("**/hooks", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.route("**/hooks.js", lambda route: route.fulfill(body=program, content_type="text/javascript"))
    page.goto(f"{gateway.url}/hooks")
    first, second = gateway.submit(userId="hooks"), gateway.submit(userId="hooks")
    page.wait_for_function("!!window.show")
    page.evaluate("ids => show(ids)", [first, second])
    page.get_by_text("2 of 2").wait_for()
    page.get_by_text(f"{second}: 100").wait_for()
    assert page.evaluate("openTrackers()") == 3
    page.evaluate("show()")  # renders again with a new array of the same jobs
    page.evaluate("ids => show(ids)", [second])
    page.wait_for_function("openTrackers() === 2")
    page.get_by_text("1 of 1").wait_for()
    page.evaluate("root.unmount()")
    page.wait_for_function("openTrackers() === 0")


FOREIGN = {
    "modules": """
<script type="module">
  import { connect } from "GATEWAY/client/index.js";
  const jobs = connect({ url: "GATEWAY" }).trackUser("USER");
  jobs.onComplete((event) => { document.body.append(event.status); });
</script>
""",
    "bundle": """
<cto-progress job="JOB" url="GATEWAY"></cto-progress>
<script type="module" src="GATEWAY/client/cto-progress.js"></script>
<script type="module">
  import { connect } from "GATEWAY/client/cto-progress.js";
  const jobs = connect({ url: "GATEWAY" }).trackUser("USER");
  jobs.onComplete((event) => { document.body.append(event.status); });
</script>
""",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_page_of_another_origin_imports_the_client_from_the_gateway(gateway, site, examples, page, name):
    # A real server must serve the page: Chromium blocks requests of an intercepted page to the local machine.
    first = gateway.submit(userId=f"foreign-{name}")
    body = FOREIGN[name].replace("GATEWAY", gateway.url).replace("USER", f"foreign-{name}")
    html = '<!doctype html><meta charset="utf-8"><title>foreign</title><body>' + body.replace("JOB", first)
    (examples / f"foreign-{name}.html").write_text(html)
    requested = []
    page.on("request", lambda request: requested.append(request.url))
    page.goto(f"{site}/dist/foreign-{name}.html")
    gateway.submit(userId=f"foreign-{name}")
    page.get_by_text("completed").first.wait_for()
    if name == "bundle":
        page.get_by_text("CTO Operation Completed").wait_for()
        assert [url for url in requested if "/client/" in url] == [f"{gateway.url}/client/cto-progress.js"]


NEXT_JOB = {
    "react": """
import { createElement as h, useState } from "react";
import { createRoot } from "react-dom/client";
import { simulate } from "cto-progress/simulate";
import { CTOProvider, useCTOJob } from "cto-progress/react";

window.shown = [];
function Job({ id }) {
  const { latest, progress } = useCTOJob(id);
  shown.push([id, latest?.jobId ?? id]);
  return h("p", null, `${id}: ${progress}`);
}
function App() {
  const [id, show] = useState("one");
  window.show = show;
  return h(Job, { id });
}
const client = simulate({ speed: 50 });
createRoot(document.getElementById("root")).render(h(CTOProvider, { value: client }, h(App)));
""",
    "vue": """
import { createApp, h, ref } from "vue";
import { simulate } from "cto-progress/simulate";
import { provideCTO, useCTOJob } from "cto-progress/vue";

window.shown = [];
const id = ref("one");
const Job = {
  setup() {
    const { latest, progress } = useCTOJob(id);
    const record = () => shown.push([id.value, latest.value?.jobId ?? id.value]);
    window.show = (next) => {
      id.value = next;
      record();
    };
    return () => {
      record();
      return h("p", `${id.value}: ${progress.value}`);
    };
  },
};
const app = createApp(Job);
provideCTO(simulate({ speed: 50 }), app);
app.mount("#root");
""",
}


@pytest.mark.parametrize("framework", NEXT_JOB)
def test_a_hook_never_returns_an_event_of_the_previous_job(page, bundle, framework):
    html = '<!doctype html><div id="root"></div><script type="module" src="/next.js"></script>'
    program = bundle(NEXT_JOB[framework])
    page.route("**/next", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.route("**/next.js", lambda route: route.fulfill(body=program, content_type="text/javascript"))
    page.goto("http://app.test/next")
    page.get_by_text("one: 100").wait_for()
    page.evaluate("show('two')")
    page.get_by_text("two: 100").wait_for()
    shown = page.evaluate("window.shown")
    assert {job_id for job_id, _ in shown} == {"one", "two"}
    assert [pair for pair in shown if pair[0] != pair[1]] == []
