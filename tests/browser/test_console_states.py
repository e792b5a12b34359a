"""The console without a token, without a connection, without a page, and in both themes."""

from __future__ import annotations

import re
import sqlite3
import time
from contextlib import closing, contextmanager

import pytest
import requests
from browser.console_page import FITS, open_console, row, start, wallets
from playwright.sync_api import expect
from prometheus_client import CollectorRegistry
from support.tokens import token
from support.waiting import wait_until

from api.auth.token_revocations import revoke
from cto_worker.observability.process_heartbeat import ProcessHeartbeat
from cto_worker.store import keys


def sign_in(page, text):
    page.get_by_label("Access token").fill(text)
    page.get_by_role("button", name="Sign in").click()


def test_sign_in_is_required_and_users_see_only_their_own_operations(
    guarded, page, troubles, axe, user, screenshot
):
    troubles.expect("401")
    troubles.expect("403")
    troubles.expect("WebSocket connection")
    page.goto(guarded.url)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_role("heading", name="Operations")).to_have_count(0)
    assert axe(page) == []
    screenshot(page, "sign-in")
    sign_in(page, "nonsense")
    expect(page.locator("#sign-in-error")).to_contain_text("token")
    sign_in(page, "<!doctype html>")
    expect(page.locator("#sign-in-error")).to_contain_text('token contains "<"')
    sign_in(page, token(user))
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    expect(page.get_by_text(f"Signed in as {user}")).to_be_visible()
    page.get_by_role("button", name="Start operation").first.click()
    expect(page.locator("dialog [name=userId]")).to_have_value(user)
    expect(page.locator("dialog [name=userId]")).to_have_js_property("readOnly", True)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Start operation").first.click()
    page.get_by_role("button", name="Random").click()
    page.get_by_role("dialog").get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url("**/operations/*")
    expect(page.locator(".run .badge")).to_have_text("completed")
    page.reload()
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_an_admin_sees_all_users_and_must_sign_in_again_after_a_revocation(guarded, page, troubles, user):
    troubles.expect("401")
    troubles.expect("WebSocket connection")
    page.goto(guarded.url)
    sign_in(page, token(user, role="admin", jti=user, exp=time.time() + 600))
    expect(page.get_by_text(f"Signed in as {user} (admin)")).to_be_visible()
    expect(page.get_by_role("link", name="System")).to_be_visible()
    with guarded.store() as store:
        revoke(store, token_id=user, keep_s=600)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.locator("#sign-in-error")).to_contain_text("revoked")


def test_a_lost_connection_is_shown_and_no_event_is_missed(
    system, tcp_proxy, page, troubles, user, axe, screenshot
):
    troubles.expect("ERR_")
    troubles.expect("WebSocket connection")
    page.goto(f"{tcp_proxy.url}/?userId={user}")
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    job_id = system.submit(userId=user, walletCount=40, buyAmount=0.8)
    expect(row(page, job_id)).to_be_visible()
    tcp_proxy.refuse("HTTP")
    expect(page.get_by_text("Not connected to the gateway. Last update")).to_be_visible()
    expect(page.locator("main")).to_have_attribute("data-stale", "true")
    assert axe(page) == []
    screenshot(page, "disconnected")
    missed = system.submit(userId=user)
    for each in (job_id, missed):
        system.ended(each)
    tcp_proxy.refuse()
    # The button may be gone: the page also reconnects by itself.
    page.get_by_role("button", name="Try now").evaluate_all(
        "buttons => buttons.forEach((button) => button.click())"
    )
    for each in (job_id, missed):
        expect(row(page, each).locator(".badge")).to_have_text("completed")
    row(page, job_id).get_by_role("link").click()
    expect(wallets(page)).to_have_count(40)
    events = system.get(f"/api/cto/job/{job_id}/events")["events"]
    page.get_by_text("Events", exact=False).first.click()
    expect(page.locator(".events tbody tr")).to_have_count(len(events))


def test_the_last_update_is_that_before_the_silence(system, tcp_proxy, page, troubles, user):
    """A link that is silent but not closed is noticed later; the banner counts from its last message."""
    troubles.expect("ERR_")
    troubles.expect("WebSocket connection")
    page.goto(f"{tcp_proxy.url}/?userId={user}")
    job_id = system.submit(userId=user)
    expect(row(page, job_id).locator(".badge")).to_have_text("completed")
    tcp_proxy.sleep()
    tcp_proxy.refuse("HTTP")
    silent_since = time.monotonic()
    banner = page.get_by_text("Not connected to the gateway. Last update")
    expect(banner).to_be_visible()
    silence_s = time.monotonic() - silent_since
    assert silence_s > 4, "the loss was noticed at once, so this test shows nothing"
    (shown_s,) = re.findall(r"Last update ([0-9]+) s ago", banner.inner_text())
    assert int(shown_s) >= silence_s - 2


def test_a_browser_without_network_is_shown_as_disconnected(system, page, troubles):
    troubles.expect("ERR_")
    troubles.expect("WebSocket connection")
    open_console(page, system)
    page.evaluate("dispatchEvent(new Event('offline'))")
    expect(page.get_by_text("Not connected to the gateway. Last update")).to_be_visible()
    page.get_by_role("button", name="Try now").click()
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")


def test_an_error_of_the_list_is_shown_and_tried_again(system, tcp_proxy, page, troubles, axe):
    troubles.expect("ERR_")
    troubles.expect("WebSocket connection")
    troubles.expect("400")
    page.goto(f"{system.url}/?wallet=nonsense")
    expect(page.get_by_role("alert").filter(has_text="wallet")).to_be_visible()
    assert axe(page) == []
    page.get_by_role("button", name="Remove filter Wallet nonsense").click()
    expect(page.get_by_role("alert").filter(has_text="wallet")).to_have_count(0)


@contextmanager
def without_archive(system):
    """Let the archive's database refuse all queries of jobs."""
    with closing(sqlite3.connect(system.settings.archive_path, timeout=30)) as database:
        database.execute("ALTER TABLE jobs RENAME TO jobs_away")
        try:
            yield
        finally:
            database.execute("ALTER TABLE jobs_away RENAME TO jobs")


def test_without_the_archive_unfinished_operations_are_shown_and_the_others_come_back(
    slow, page, troubles, user, axe, screenshot
):
    troubles.expect("503")
    ended = slow.submit(userId=user, walletCount=1)
    slow.ended(ended)
    running = slow.submit(userId=user, walletCount=50, buyAmount=1)
    note, list_only = page.get_by_text("Ended operations are not available"), f"/?userId={user}"
    with without_archive(slow):
        open_console(page, slow, list_only)
        expect(note).to_be_visible()
        expect(row(page, running).locator(".badge")).to_have_text("running")
        expect(row(page, ended)).to_have_count(0)
        later = slow.submit(userId=user, walletCount=50, buyAmount=1)
        expect(row(page, later)).to_be_visible()
        assert axe(page) == []
        screenshot(page, "archive-away")
        open_console(page, slow, f"{list_only}&outcome=full")
        expect(page.get_by_text("No unfinished operation to show")).to_be_visible()
        open_console(page, slow, list_only)
        expect(row(page, running)).to_be_visible()
    expect(row(page, ended)).to_be_visible()
    expect(note).to_have_count(0)
    expect(page.locator(".t-total dd")).to_have_text("3")
    for job_id in (running, later):
        slow.cto("cancel", job_id)


def test_an_archived_operation_says_that_the_archive_is_away_and_comes_back(
    system, page, troubles, user, axe, screenshot
):
    troubles.expect("503")
    job_id = system.submit(userId=user, walletCount=2)
    system.ended(job_id)
    with closing(sqlite3.connect(system.settings.archive_path, timeout=30)) as database:
        query = "SELECT 1 FROM jobs WHERE job_id = ?"
        wait_until(lambda: database.execute(query, [job_id]).fetchall())
    with system.store() as store:
        store.delete(
            keys.job(job_id), keys.events(job_id), keys.intents(job_id), keys.meta(job_id)
        )  # expired
    note = page.get_by_role("alert").filter(has_text="archive of ended operations does not respond")
    with without_archive(system):
        open_console(page, system, f"/operations/{job_id}")
        expect(note).to_contain_text("tries again by itself")
        assert axe(page) == []
        screenshot(page, "operation-archive-away")
    expect(wallets(page)).to_have_count(2)
    expect(note).to_have_count(0)


def test_an_unknown_address_is_a_page_and_that_of_the_api_is_json(system, page, troubles, axe, screenshot):
    troubles.expect("404")
    response = page.goto(f"{system.url}/nope")
    assert response.status == 404
    expect(page.get_by_role("main")).to_contain_text("There is no such page")
    assert axe(page) == []
    screenshot(page, "unknown-page")
    page.get_by_role("link", name="All operations").click()
    expect(page.get_by_role("heading", name="Operations")).to_be_visible()
    html = {"Accept": "text/html"}
    assert (
        requests.get(f"{system.url}/api/nope", headers=html, timeout=10).json()["error"]["code"]
        == "not_found"
    )
    assert requests.get(f"{system.url}/nope", timeout=10).json()["error"]["code"] == "not_found"


def test_the_kind_of_money_is_shown_on_every_page(system, page, screenshot):
    badge = page.get_by_text("Simulated market: no real money", exact=True)
    for width in (1_200, 360):
        page.set_viewport_size({"width": width, "height": 800})
        for path in ("/", "/operations/unknown", "/review", "/audit", "/system"):
            open_console(page, system, path)
            expect(badge).to_be_visible()
            assert page.evaluate(FITS), (path, width)
        screenshot(page, f"money-{width}")
    with system.store() as store:
        other = ProcessHeartbeat(store, "worker", CollectorRegistry(), dict)  # reports no market
        other.send()
        with page.expect_response("**/api/cto/market") as response:
            open_console(page, system)
        other.end()
    assert response.value.json()["data"] == {"money": ""}
    expect(badge).to_have_count(0)
    expect(page.get_by_text("Kind of money unknown", exact=True)).to_be_visible()
    page.route(
        "**/api/cto/market", lambda route: route.fulfill(json={"success": True, "data": {"money": "real"}})
    )
    open_console(page, system)
    expect(page.get_by_text("Real money", exact=True)).to_be_visible()


def test_the_theme_is_remembered(system, page):
    open_console(page, system)
    button = page.locator("[data-theme-button]")
    expect(button).to_have_text("Theme: automatic")
    button.click()
    button.click()
    expect(button).to_have_text("Theme: dark")
    page.reload()
    expect(button).to_have_text("Theme: dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 18, 23)"


@pytest.mark.parametrize("locale", ["de-DE", "en-US"])
def test_numbers_and_times_have_the_language_of_the_texts(system, chromium, troubles, user, locale):
    job_id = system.submit(userId=user, buyAmount=0.04)
    system.ended(job_id)
    context = chromium.new_context(locale=locale)
    context.on("page", troubles.watch)
    page = open_console(context.new_page(), system, f"/operations/{job_id}")
    expect(page.locator(".facts")).to_contain_text("0.04")
    assert "0,04" not in page.locator("main").inner_text()
    context.close()


def test_the_keyboard_alone_is_enough(slow, page, user):
    open_console(page, slow)
    job_id = start(page, user, count=30)
    page.keyboard.press("g")
    page.keyboard.press("o")
    expect(row(page, job_id)).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/operations/{job_id}")
    expect(page.get_by_role("button", name="Cancel operation")).to_be_visible()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Cancel operation":
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    for _ in range(5):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.className") == "danger":
            break
    page.keyboard.press("Enter")
    expect(page.locator(".summary .error code")).to_have_text("cancelled")
