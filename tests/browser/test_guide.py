"""The code blocks of docs/how-to/frontend.md and docs/how-to/migrating.md, and the links of the former."""

from __future__ import annotations

import itertools
import re
import uuid
from pathlib import Path

import pytest
import requests
from support.tokens import token

DOCS = Path(__file__).parents[2] / "docs" / "how-to"
GUIDE = DOCS / "frontend.md"
TEXT = GUIDE.read_text()
BLOCK = re.compile(r"(?:<!-- shows: (.*?) -->\n)?```(\w+)\n(.*?)```", re.DOTALL)
START = re.compile(r'[>"]Start')  # the label of a button


def programs(page):
    """Return the text that each program shows, its language, its code, and its other files."""
    found = []
    for shows, kind, code in BLOCK.findall(page.read_text()):
        if kind == "vue":  # a component of the program before it
            found[-1][3]["./App.vue"] = code
        else:
            found.append((shows, kind, code, {}))
    return found


RUN = [
    pytest.param(*program, id=f"{page.stem}-{number}-{program[1]}")
    for page in (GUIDE, DOCS / "migrating.md")
    for number, program in enumerate(programs(page))
]
ADDRESS = "127.0.0.1:3000"  # in the guide
JOBS = """
const request = { tokenAddress: "So11111111111111111111111111111111111111112", userChatId: 1 };
setInterval(() => fetch("/api/cto/jobs", {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ ...request, userId: "demo", mode: "prefunded", buyAmount: 0.02, walletCount: 1 }),
}), 500);
"""  # starts jobs for the blocks that only track


@pytest.mark.parametrize(("shows", "kind", "code", "files"), RUN)
def test_a_block_shows_its_expected_text(request, page, troubles, bundle, shows, kind, code, files):
    assert shows, "add the expected text before the block: <!-- shows: … -->"
    system = request.getfixturevalue("guarded" if "token:" in code else "system")
    code = code.replace(ADDRESS, system.url.removeprefix("http://"))
    user = f"g{uuid.uuid4().hex[:10]}"
    code = code.replace("demo", user)
    files = {name: text.replace("demo", user) for name, text in files.items()}
    starts = START.search("".join([code, *files.values()]))
    submits = re.search("submit|POST", code + "".join(files.values()), re.IGNORECASE)
    assert starts or not submits or "nonsense" in code or "simulate" in code, "a page must not buy at load"
    for expected in ("Failed to load resource", "no-such-job"):
        troubles.expect(expected)
    logged = []
    page.on("console", lambda message: logged.append(message.text))
    page.route("**/session/cto-token", lambda route: route.fulfill(body=token(user)))
    html = '<!doctype html><html lang="en"><meta charset="utf-8"><title>guide</title>'
    html += '<div id="root"></div><div id="app"></div>'
    if kind == "html":
        page.route("**/guide*", lambda route: route.fulfill(body=html + code, content_type="text/html"))
    else:
        program = bundle(code, kind if kind in {"jsx", "tsx"} else "js", files)
        page.route("**/block.js", lambda route: route.fulfill(body=program, content_type="text/javascript"))
        html += '<script type="module" src="/block.js"></script>'
        page.route("**/guide*", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.goto(f"{system.url}/guide")
    if starts:
        page.wait_for_timeout(100)
        assert not system.get("/api/cto/jobs", userId=user)["jobs"], "nobody has pressed Start"
        page.get_by_role("button", name="Start").click()
    elif not submits and system.settings.auth == "off":
        page.evaluate(JOBS.replace("demo", user))

    def shown():
        return shows in page.text_content("body") or any(shows in text for text in logged)

    def wait_until_shown():
        for _ in itertools.takewhile(lambda _: not shown(), range(600)):
            page.wait_for_timeout(50)
        assert shown(), logged[-10:]

    wait_until_shown()
    if "?job=" in "".join([code, *files.values()]):
        logged.clear()
        page.reload()
        wait_until_shown()
        assert len(system.get("/api/cto/jobs", userId=user)["jobs"]) == 1


def test_every_link_to_a_document_has_a_target():
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", TEXT):
        assert (GUIDE.parent / target).exists(), target
    anchors = {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    }
    for anchor in re.findall(r"\]\(#([^)]+)\)", TEXT):
        assert anchor in anchors, anchor


def test_the_gateway_serves_the_modules_of_the_client(system):
    modules = ("index.js", "element.js", "simulate.js", "transports/sse.js", "cto-progress.js")
    types = dict.fromkeys(modules, "text/javascript") | {"cto-progress.tgz": "application/gzip"}
    for name, media_type in types.items():
        answer = requests.get(f"{system.url}/client/{name}", timeout=10)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith(media_type)
        known = {"If-None-Match": answer.headers["ETag"]}
        assert requests.get(f"{system.url}/client/{name}", headers=known, timeout=10).status_code == 304
        assert answer.headers["Access-Control-Allow-Origin"] == "*", "any page may import public code"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
