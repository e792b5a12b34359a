"""The JavaScript of all pages but the front-end guide, in a real browser on a real system."""

from __future__ import annotations

import itertools
import re
import uuid

import pytest
from support.documents import block, blocks
from support.javascript import evaluate
from support.tokens import token

MINT = "So11111111111111111111111111111111111111112"
CONTRACT, CLIENT = "docs/reference/contract.md", "clients/js/README.md"
NEXT, LOGIN = "docs/how-to/nextjs.md", "docs/how-to/existing-login.md"
EXAMPLE_JOB = "1c689da7-0b0e-4f6c-9d0c-6a4f5a1f3e55"  # in the client's page
SOCKET = """
import { io } from "socket.io-client";
const newToken = async () => (await fetch("/session/cto-token")).text();
const socket = io("", { auth: async (callback) => callback({ token: await newToken() }) });
"""
RENDER = """
import { createRoot } from "react-dom/client";
import { createElement } from "react";
createRoot(document.getElementById("root")).render(ELEMENT);
"""
SHOW_COMPONENT = """
import { createApp } from "vue";
import { connect } from "cto-progress";
import { cto } from "cto-progress/vue";
import App from "./App.vue";
createApp(App, { jobId: "JOB" }).use(cto(connect())).mount("#root");
"""
# The page and beginning of a block, code before and after it, and the text that it shows or logs at the end.
CASES = [
    ("README.md", "<button", "", "", "full"),
    (CLIENT, "import { connect", "", "", "full"),
    (CLIENT, "<cto-progress", "", "", "100"),
    (CLIENT, "<script setup>", "", "", "100 %"),
    (CLIENT, '"use client"', "", RENDER.replace("ELEMENT", 'createElement(Page, { jobId: "JOB" })'), "100 %"),
    (CONTRACT, "const latest", SOCKET, "", "completed"),
    (CONTRACT, "const stream", "", "", "completed"),
    (CONTRACT, "const socket", "", "", "completed"),
]


@pytest.fixture
def show(page, troubles, bundle):
    """Show a block on a page of the gateway, and wait until it shows a text."""

    def show(system, code, kind, expected, user, files=None):
        for trouble in ("Failed to load resource", "401 (Unauthorized)"):
            troubles.expect(trouble)
        logged = []
        page.on("console", lambda message: logged.append(message.text))
        page.route("**/session/cto-token", lambda route: route.fulfill(body=token(user)))
        page.route("**/cto-token", lambda route: route.fulfill(body=token(user)))
        html = '<!doctype html><html lang="en"><meta charset="utf-8"><title>page</title><div id="root"></div>'
        if kind == "html":
            html += code
        else:
            program = bundle(code, kind, files)
            page.route(
                "**/block.js", lambda route: route.fulfill(body=program, content_type="text/javascript")
            )
            html += '<script type="module" src="/block.js"></script>'
        page.route("**/a-page*", lambda route: route.fulfill(body=html, content_type="text/html"))
        page.goto(f"{system.url}/a-page")
        if re.search(">Start", "".join([code, *(files or {}).values()])):
            page.get_by_role("button", name="Start").click()

        def shown():
            outcomes = page.evaluate(
                "[...document.querySelectorAll('[outcome]')].map((each) => each.outerHTML).join()"
            )
            return any(expected in text for text in [page.text_content("body"), outcomes, *logged])

        def wait_until_shown():
            for _ in itertools.takewhile(lambda _: not shown(), range(1_200)):
                page.wait_for_timeout(50)
            assert shown(), logged[-10:]

        wait_until_shown()
        if "?job=" in code:
            logged.clear()
            page.reload()
            wait_until_shown()

    return show


def adapted(code, system, user, job_id):
    """Replace the addresses, the users and the job of the pages."""
    host = system.url.removeprefix("http://")
    for address in ("127.0.0.1:3000", "localhost:3000"):
        code = code.replace(address, host)
    code = code.replace("https://gateway.example", system.url).replace("https://app.example", system.url)
    for found in ("user_demo", "user_7"):
        code = code.replace(found, f"user_{user}")
    code = code.replace("userId=7", f"userId={user}")
    return code.replace('"demo"', f'"{user}"').replace(EXAMPLE_JOB, job_id).replace("JOB", job_id)


@pytest.mark.parametrize(
    ("name", "first", "before", "after", "expected"), CASES, ids=[" ".join(case[:2]) for case in CASES]
)
def test_a_block_shows_live_operations(system, show, name, first, before, after, expected):
    user = f"p{uuid.uuid4().hex[:10]}"
    job_id = system.submit(userId=user, mode="standard", walletCount=20)
    each = block(name, first)
    code = adapted(before + each.code.replace('"use client";', "") + after, system, user, job_id)
    if each.language == "vue":
        show(system, SHOW_COMPONENT.replace("JOB", job_id), "js", expected, user, {"./App.vue": code})
    else:
        show(system, code, each.language, expected, user)


def test_a_token_is_renewed_on_an_open_socket(guarded, show):
    code = SOCKET + "socket.on('connect', async () => {" + block(CONTRACT, "socket.emit").code + "});"
    show(guarded, code, "js", "true", "7")


def test_a_page_gets_its_tokens_from_the_login(guarded, show):
    code = adapted(block(LOGIN, "import { connect }").code, guarded, "7", "")
    show(guarded, code, "js", "live", "7")


START_NEXT = """
import { createRoot } from "react-dom/client";
import Layout from "./layout";
import Page from "./page";
createRoot(document).render(<Layout><Page /></Layout>);
"""


def test_the_app_of_next_starts_an_operation_and_shows_it(system, show, page):
    user = f"p{uuid.uuid4().hex[:10]}"
    names = ["./cto", "./layout", "./job", "./page"]
    codes = [each.code for each in blocks(NEXT) if each.language == "jsx"]
    files = {name: adapted(code, system, user, "") for name, code in zip(names, codes, strict=True)}
    (variables,) = nextjs("NEXT_PUBLIC_CTO_URL")
    for name, value in (line.split("=") for line in adapted(variables, system, user, "").splitlines()):
        files = {path: code.replace(f"process.env.{name}", f'"{value}"') for path, code in files.items()}

    def operations(route):  # the route handler, which the next test runs
        assert uuid.UUID(route.request.headers["idempotency-key"])
        job_id = system.submit(userId=user, tokenAddress=route.request.post_data_json["tokenAddress"])
        route.fulfill(json={"success": True, "data": {"jobId": job_id}})

    page.route("**/api/operations", operations)
    show(system, START_NEXT, "jsx", "100 % full", user, files)


def test_the_route_of_next_starts_an_operation_once(system):
    (route,) = nextjs("export async function POST")
    program = f"""
process.env.CTO_URL = "{system.url}";
{route}
const body = JSON.stringify({{ tokenAddress: "{MINT}", buyAmount: 0.2 }});
const headers = {{ "Idempotency-Key": "{uuid.uuid4()}" }};
const ask = async () => (await POST(new Request("http://app/", {{ method: "POST", headers, body }}))).json();
const [first, second] = [await ask(), await ask()];
console.log(first.data.jobId, first.data.jobId === second.data.jobId);
"""
    job_id, same = evaluate(program).split()
    assert same == "true"
    assert system.ended(job_id)["outcome"] == "full"


def nextjs(first):
    """Return the code of the blocks of the page that begin so."""
    return [each.code for each in blocks(NEXT) if each.first.startswith(first)]
