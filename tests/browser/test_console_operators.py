"""The console's views for operators: reviews and the system."""

from __future__ import annotations

import pytest
from browser.console_page import FITS, open_console, row, with_outcomes
from playwright.sync_api import expect
from support.system import SplitSystem
from support.tokens import token
from support.waiting import wait_until


def review_of(page, job_id):
    return page.locator(".review").filter(has=page.locator(f"a[href='/operations/{job_id}']"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1_280])
def test_an_operator_resolves_every_unknown_step(rough, page, troubles, user, axe, screenshot, scheme, width):
    troubles.expect("400 (BAD REQUEST)")
    (unknown,) = with_outcomes(rough, user, "unknown", mode="standard", walletCount=6)
    job_id = unknown["jobId"]
    steps = rough.get(f"/api/cto/job/{job_id}/review")["unknownIntents"]
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    open_console(page, rough, "/review")
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
        if number == 0:
            assert axe(page) == []
            screenshot(page, f"review-dialog-{scheme}-{width}")
            dialog.locator("[name=spent]").fill("-1")
            dialog.get_by_role("button", name="Record as executed").click()
            expect(dialog.locator("#spent-error")).to_contain_text("greater than or equal to 0")
        dialog.locator("[name=spent]").fill("0.02")
        if step["kind"] == "buy":
            dialog.locator("[name=tokens]").fill("1000")
        dialog.get_by_role("button", name="Record as executed").click()
        expect(dialog).to_have_count(0)
    expect(review).to_have_count(0)
    assert not rough.get(f"/api/cto/job/{job_id}/status")["needsReview"]
    open_console(page, rough, f"/?userId={user}")
    expect(row(page, job_id).locator(".badge")).to_have_text("unknown, reviewed")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1_280])
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
    expect(page.locator(".minutes .completed")).to_have_count(60)
    assert axe(page) == []
    assert page.evaluate(FITS)
    screenshot(page, f"system-{scheme}-{width}")


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
        expect(page.get_by_text("No worker has been alive for 15 s")).to_be_visible()
    assert axe(page) == []
    screenshot(page, "no-worker")
    without_worker.worker()
    expect(page.get_by_text("No worker has been alive for 15 s")).to_have_count(0)


def test_users_see_neither_reviews_nor_the_system(guarded, page, troubles, user):
    troubles.expect("401")
    troubles.expect("403")
    troubles.expect("WebSocket connection")
    page.goto(guarded.url)
    page.get_by_label("Access token").fill(token(user))
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    expect(page.get_by_role("link", name="System")).to_have_count(0)
    for path, text in (("/system", "see the state of the system"), ("/review", "review operations")):
        page.goto(guarded.url + path)
        expect(page.get_by_text(f"Only operators can {text}")).to_be_visible()
