"""The console's views for operators: reviews and the system."""

from __future__ import annotations

import json
import re
import time

import pytest
from browser.console_page import FITS, open_console, row, with_outcomes
from playwright.sync_api import expect
from support.system import SplitSystem
from support.tokens import token
from support.waiting import wait_until

from cto_worker.store import keys

TOO_WIDE = "all => all.filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.ariaLabel)"


def review_of(page, job_id):
    return page.locator(".review").filter(has=page.locator(f"a[href='/operations/{job_id}']"))


@pytest.mark.parametrize(("scheme", "width"), [("light", 1_280), ("dark", 320)])
def test_an_operator_resolves_every_unknown_step(rough, page, user, axe, screenshot, scheme, width):
    (unknown,) = with_outcomes(rough, user, "unknown", mode="standard", walletCount=6)
    job_id = unknown["jobId"]
    steps = rough.get(f"/api/cto/job/{job_id}/review")["unknownIntents"]
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    open_console(page, rough, f"/review#{job_id}")
    expect(page.locator(".review").first).to_have_attribute("aria-current", "true")
    review = review_of(page, job_id)
    expect(review.locator("tbody tr")).to_have_count(len(steps))
    for step in steps:
        expect(review.locator(f".mono[title='{step['wallet']}']").first).to_be_visible()
    assert axe(page) == []
    assert page.evaluate(FITS)
    screenshot(page, f"review-{scheme}-{width}")
    for number, step in enumerate(steps):
        review.get_by_role("button", name="Executed", exact=True).first.click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("This cannot be undone.")
        expect(dialog.get_by_title(step["signature"])).to_be_visible()
        expect(dialog.locator(".market strong")).to_have_text(re.compile("^(not )?executed$"))
        if number == 0:
            assert axe(page) == []
            screenshot(page, f"review-dialog-{scheme}-{width}")
            dialog.locator("[name=spent]").fill("abc")
            dialog.get_by_role("button", name="Record as executed").click()
            expect(dialog.locator("#spent-error")).to_contain_text("Must be a number")
            expect(dialog).to_contain_text("Not recorded")
        record_after_warnings(dialog, step)
    expect(review).to_have_count(0)
    status = rough.get(f"/api/cto/job/{job_id}/status")
    assert not status["needsReview"]
    assert [each["tokens"] for each in status["resolutions"] if each["kind"] == "buy"] == [
        1_000_500_000 for step in steps if step["kind"] == "buy"
    ]
    open_console(page, rough, f"/?userId={user}")
    expect(row(page, job_id).locator(".badge")).to_have_text("unknown, reviewed")
    row(page, job_id).get_by_role("link").click()
    for step in steps:
        shown = page.locator("tr").filter(has=page.get_by_title(step["wallet"]))
        expect(shown).to_contain_text(f"{step['kind']} executed")
        expect(shown).to_contain_text("recorded by anonymous")
    assert page.evaluate(FITS)
    screenshot(page, f"operation-reviewed-{scheme}-{width}")
    shows_its_audit_log(page, rough, job_id, 1 + len(steps))
    assert axe(page) == []
    assert page.evaluate(FITS)
    screenshot(page, f"audit-{scheme}-{width}")


def record_after_warnings(dialog, step):
    """Record unusual figures, which the dialog asks for again."""
    record = dialog.get_by_role("button", name="Record as executed")
    dialog.locator("[name=spent]").fill("0.5")
    record.click()
    expect(dialog.get_by_role("alert").filter(has_text="Check these figures")).to_contain_text("0.5 SOL")
    if step["kind"] == "buy":
        dialog.locator("[name=tokens]").fill("1,000.5")
        record.click()  # another value is checked again
    record.click()
    expect(dialog).to_have_count(0)


def shows_its_audit_log(page, system, job_id, count):
    """Open the audit log of an operation by its id, by an action, and by the beginning of its id."""
    entries = page.locator(".audit-entries tbody tr")
    open_console(page, system, f"/audit?jobId={job_id}")
    expect(entries).to_have_count(count)
    expect(entries.first).to_contain_text("unknown confirmed")
    expect(entries.first).to_contain_text("0.5 SOL")
    page.get_by_label("Action").select_option("job.submit")
    expect(entries).to_have_count(1)
    open_console(page, system, "/audit")
    page.locator("#audit-jobId").fill(job_id[:8])
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/audit?jobId={job_id}")
    expect(entries).to_have_count(count)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1_280), ("dark", 320)])
def test_the_system_is_shown(rough, page, user, axe, screenshot, scheme, width):
    rough.ended(rough.submit(userId=user))
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    open_console(page, rough, "/system")
    wait_until(lambda: rough.get("/api/cto/system")["lastHour"]["completed"] > 0)
    (worker,) = rough.get("/api/cto/system")["workers"]
    expect(page.get_by_role("row").filter(has_text=worker["id"])).to_contain_text(f"/{worker['slots']}")
    expect(page.locator(".tile").filter(has_text="Workers")).to_contain_text("1")
    expect(page.get_by_role("img", name="Operations that ended in each")).to_be_visible()
    for outcome in ("full", "partial", "unknown", "none"):
        expect(page.locator(f".minutes .{outcome}")).to_have_count(60)
    (partial,) = with_outcomes(rough, user, "partial", walletCount=6)
    assert partial["outcome"] == "partial"
    wait_until(lambda: rough.get("/api/cto/system")["lastHour"]["partial"] > 0)
    expect(page.locator(".outcomes .partial")).to_have_text(re.compile("[1-9][0-9]* partial"))
    assert axe(page) == []
    assert page.evaluate(FITS)
    screenshot(page, f"system-{scheme}-{width}")


def test_lost_processes_are_told_apart_from_those_lost_earlier(system, page, axe, screenshot):
    ages_s = {"just-lost": 60, "lost-earlier": 3 * 3_600}
    with system.store() as store:
        for name, age_s in ages_s.items():
            content = json.dumps({"kind": "worker", "name": name, "gauges": {}})
            store.hset(keys.PROCESSES, name, f"{round((time.time() - age_s) * 1_000)} 1 {content}")
        try:
            open_console(page, system, "/system")
            panels = {name: page.locator(".panel").filter(has_text=name) for name in ages_s}
            expect(panels["just-lost"]).to_have_attribute("data-kind", "bad")
            expect(panels["just-lost"].get_by_role("heading")).to_have_text("Lost processes")
            expect(panels["just-lost"]).to_contain_text(re.compile("1 min ago"))
            expect(panels["lost-earlier"].get_by_role("heading")).to_have_text("Lost earlier")
            expect(panels["lost-earlier"]).to_contain_text("3 h ago")
            assert panels["lost-earlier"].get_attribute("data-kind") is None
            assert axe(page) == []
            for width in (320, 768, 1_440):
                page.set_viewport_size({"width": width, "height": 900})
                assert page.evaluate(FITS)
                assert page.locator(".scroll").evaluate_all(TOO_WIDE) == [], width
                screenshot(page, f"lost-{width}")
        finally:
            store.hdel(keys.PROCESSES, *ages_s)


@pytest.fixture
def without_worker():
    """A store and a gateway."""
    system = SplitSystem()
    system.gateway()
    yield system
    system.close()


def test_a_banner_shows_that_no_worker_is_alive(without_worker, page, user, axe, screenshot):
    job_id = without_worker.submit(userId=user)
    open_console(page, without_worker)
    expect(row(page, job_id).locator(".badge")).to_have_text("waiting")
    for path in ("/", f"/operations/{job_id}", "/review"):
        page.goto(without_worker.url + path)
        expect(page.get_by_text("No worker is running")).to_be_visible()
    assert axe(page) == []
    screenshot(page, "no-worker")
    without_worker.worker()
    expect(page.get_by_text("No worker is running")).to_have_count(0)


def test_users_see_neither_reviews_nor_the_system(guarded, page, troubles, user):
    troubles.expect("401")
    troubles.expect("403")
    troubles.expect("WebSocket connection")
    page.goto(guarded.url)
    page.get_by_label("Access token").fill(token(user))
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    expect(page.get_by_role("link", name="System")).to_have_count(0)
    expect(page.get_by_text("Simulated market: no real money", exact=True)).to_be_visible()
    only = {
        "system": "see the state of the system",
        "review": "review operations",
        "audit": "see the audit log",
    }
    for path, text in only.items():
        page.goto(f"{guarded.url}/{path}")
        expect(page.get_by_text(f"Only operators can {text}")).to_be_visible()
