"""The console's list of operations."""

from __future__ import annotations

import csv
import json
import re

import pytest
import requests
from browser.console_page import FITS, WIDTHS, cut_at_any_width, open_console, row, start, with_outcomes
from playwright.sync_api import expect
from support.samples import operation
from support.waiting import wait_until


def ids(page):
    return page.locator("[data-job]").evaluate_all("rows => rows.map((row) => row.dataset.job)")


def test_operations_appear_live_and_unfinished_ones_come_first(slow, page, user, screenshot):
    open_console(page, slow, f"/?userId={user}")
    expect(page.get_by_text("No operation matches these filters")).to_be_visible()
    first = slow.submit(userId=user, walletCount=3)
    slow.ended(first)
    expect(row(page, first).locator(".badge")).to_have_text("completed")
    expect(row(page, first).locator(".c-buys")).to_contain_text("3/3")
    running = slow.submit(userId=user, walletCount=50, buyAmount=1)
    expect(row(page, running).locator(".badge")).to_have_text("running")
    later = slow.submit(userId=user, buyAmount=1_000)
    expect(row(page, later).locator(".badge")).to_have_text("failed")
    expect(row(page, later).locator(".reason")).to_have_text("insufficient_funds")
    expect(row(page, later).get_by_role("link")).to_have_text(later[:8])
    assert ids(page) == [running, later, first]
    screenshot(page, "list-running")


def test_a_reload_shows_the_same_list_and_its_totals(rough, page, user):
    partial, unknown = with_outcomes(rough, user, "partial", "unknown", walletCount=6)
    open_console(page, rough, f"/?userId={user}")
    for job in (partial, unknown):
        expect(row(page, job["jobId"])).to_be_visible()
    expect(row(page, partial["jobId"]).locator(".badge")).to_have_text("partial")
    expect(row(page, unknown["jobId"]).locator(".badge")).to_have_text("needs review")
    failed = partial["operationResult"]["failedBuys"]
    reason = f"{failed} {'buy' if failed == 1 else 'buys'} failed"
    expect(row(page, partial["jobId"]).locator(".reason")).to_have_text(reason)
    before = ids(page)
    page.reload()
    expect(row(page, unknown["jobId"])).to_be_visible()
    assert ids(page) == before
    summary = rough.get("/api/cto/jobs/summary", userId=user)
    for name, count in (("total", summary["total"]), *summary["byOutcome"].items()):
        expect(page.locator(f".t-{name} dd")).to_have_text(str(count))
    page.locator(".t-partial a").click()
    expect(row(page, unknown["jobId"])).to_have_count(0)
    expect(row(page, partial["jobId"])).to_be_visible()
    assert page.url.endswith(f"?userId={user}&outcome=partial")
    bars = (
        row(page, partial["jobId"])
        .locator(".parts i")
        .evaluate_all("all => all.map(e => [e.className, e.style.flexGrow])")
    )
    bought = partial["operationResult"]["successfulBuys"]
    assert bars == [["bought", str(bought)], ["failed", str(6 - bought)]]


def test_the_list_counts_what_an_operator_recorded(rough, page, user):
    (unknown,) = with_outcomes(rough, user, "unknown", mode="prefunded", walletCount=6)
    job_id, ended = unknown["jobId"], unknown["operationResult"]
    steps = rough.get(f"/api/cto/job/{job_id}/review")["unknownIntents"]
    for step in steps:
        body = {"intentId": step["intentId"], "executed": True, "spent": 0.5, "tokens": 7}
        requests.post(f"{rough.url}/api/cto/job/{job_id}/resolve", json=body, timeout=30).raise_for_status()
    open_console(page, rough, f"/?userId={user}&outcome=unknown")
    resolved = row(page, job_id)
    bought = ended["successfulBuys"] + len(steps)
    expect(resolved.locator(".badge")).to_have_text("unknown, reviewed")
    expect(resolved.locator(".c-buys .number")).to_have_text(f"{bought}/6")
    expect(resolved.locator(".buys")).to_have_attribute(
        "title", re.compile(f"{len(steps)} of them as recorded")
    )
    spent = ended["totalSpent"] + 0.5 * len(steps)
    expect(resolved.locator(".c-spent .number")).to_have_text(f"{spent:.4f}")
    failed = ended["failedBuys"]
    reason = [f"{failed} {'buy' if failed == 1 else 'buys'} failed"] if failed else []
    assert resolved.locator(".reason").all_inner_texts() == reason
    summary = rough.get("/api/cto/jobs/summary", userId=user, outcome="unknown")
    total = sum(
        job["successfulBuys"] for job in rough.get("/api/cto/jobs", userId=user, outcome="unknown")["jobs"]
    )
    assert summary["successfulBuys"] == total >= bought
    buys = f"{total}/{total + summary['failedBuys']}"
    expect(page.locator(".t-buys dd")).to_have_text(buys)


def test_filters_and_search_are_in_the_address(system, page, user):
    mine = system.submit(userId=user, walletCount=1, buyAmount=0.02)
    failed = system.submit(userId=user, buyAmount=1_000)
    other = system.submit(userId=f"{user}-other")
    for job_id in (mine, failed, other):
        system.ended(job_id)
    open_console(page, system)
    expect(row(page, other)).to_be_visible()
    page.keyboard.press("/")
    page.locator("#search").fill(user)
    page.keyboard.press("Enter")
    expect(row(page, other)).to_have_count(0)
    expect(page.locator("[data-job]")).to_have_count(2)
    page.keyboard.press("j")
    expect(row(page, failed).get_by_role("link")).to_be_focused()
    page.get_by_label("Status").select_option("Failed")
    expect(row(page, mine)).to_have_count(0)
    expect(row(page, failed)).to_be_visible()
    page.get_by_label("Started").select_option("Last hour")
    expect(row(page, failed)).to_be_visible()
    assert page.url.endswith(f"?userId={user}&outcome=none&range=1h")
    page.go_back()
    page.go_back()
    expect(row(page, mine)).to_be_visible()
    page.get_by_role("button", name=re.compile("Remove filter Owner")).click()
    expect(row(page, other)).to_be_visible()
    result = system.get(f"/api/cto/job/{mine}/status")["operationResult"]
    wallet = result["wallets"][0]["wallet"]
    for text, name in (
        (wallet, "wallet"),
        (operation()["tokenAddress"], "tokenAddress"),
        (result["transactionSignatures"][0], "signature"),
        (user, "userId"),
        (result["platform"], "platform"),
        ("insufficient_funds", "errorCode"),
    ):
        page.locator("#search").fill(text)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{system.url}/?{name}={text}")  # the next text replaces it
        expect(row(page, failed if name == "errorCode" else mine)).to_be_visible()
        expect(page.get_by_role("button", name=re.compile("Remove filter"))).to_have_count(1)
        if name == "wallet":
            expect(row(page, mine).locator(".reason")).to_have_text("wallet: bought")
    page.locator("#search").fill(f"{wallet[:-1]}{'A' if wallet[-1] != 'A' else 'B'}")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No operation matches these filters")).to_be_visible()
    page.get_by_role("button", name="Search as token").click()
    expect(page.get_by_role("button", name=re.compile("Remove filter Token"))).to_be_visible()
    page.goto(f"{system.url}/?status=failed&userId={user}")
    expect(row(page, failed)).to_be_visible()
    expect(page.get_by_label("Status")).to_have_value("status=failed")
    for text in (other, other[:8]):
        open_console(page, system)
        page.locator("#search").fill(text)
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/operations/{other}")


def test_a_period_is_a_filter(system, page, user):
    job_id = system.submit(userId=user)
    system.ended(job_id)
    created_ms = system.get("/api/cto/jobs", userId=user)["jobs"][0]["createdAt"]
    open_console(page, system, f"/?userId={user}&from={created_ms}&to={created_ms + 1}")
    expect(row(page, job_id)).to_be_visible()
    expect(page.get_by_label("Started")).to_have_value("custom")
    open_console(page, system, f"/?userId={user}&to={created_ms}")
    expect(page.get_by_text("No operation matches these filters")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    expect(row(page, job_id)).to_be_visible()


def test_an_empty_result_offers_other_filters(system, page, user):
    job_id = system.submit(userId=user)
    system.ended(job_id)
    open_console(page, system, f"/?userId={user}&from=0&to=1")
    page.get_by_role("button", name="Search all time").click()
    expect(row(page, job_id)).to_be_visible()
    assert page.url.endswith(f"/?userId={user}")
    open_console(page, system, "/?to=1")
    expect(page.get_by_role("button", name="Clear filters")).to_be_visible()
    expect(page.get_by_role("button", name="Search all time")).to_have_count(0)  # it would do the same
    page.get_by_role("button", name="Clear filters").click()
    expect(page.locator("[data-job]").first).to_be_visible()
    open_console(page, system, "/audit?actor=nobody")
    page.get_by_role("button", name="Clear filters").click()
    expect(page.locator(".audit-entries tbody tr").first).to_be_visible()


def test_the_keyboard_moves_selects_and_opens(slow, page, user):
    older, newer = (slow.submit(userId=user, walletCount=50, buyAmount=1) for _ in range(2))
    open_console(page, slow, f"/?userId={user}")
    expect(row(page, older)).to_be_visible()
    focused = "document.activeElement.closest('[data-job]')?.dataset.job"
    for key, expected in (("j", newer), ("j", older), ("j", older), ("k", newer)):
        page.keyboard.press(key)
        wait_until(lambda expected=expected: page.evaluate(focused) == expected)
    page.keyboard.press("x")
    expect(row(page, newer).get_by_role("checkbox")).to_be_checked()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Keyboard shortcuts")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    row(page, newer).get_by_role("link").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/operations/{newer}")
    page.keyboard.press("g")
    page.keyboard.press("o")
    page.wait_for_url(f"{slow.url}/")
    for job_id in (older, newer):
        slow.cto("cancel", job_id)


def test_several_operations_are_cancelled_after_their_number_was_shown(slow, page, user, axe, screenshot):
    job_ids = [slow.submit(userId=user, walletCount=50, buyAmount=1) for _ in range(3)]
    open_console(page, slow, f"/?userId={user}")
    for job_id in job_ids:
        expect(row(page, job_id).locator(".badge")).to_have_text("running")
    row(page, job_ids[0]).get_by_role("checkbox").check()
    row(page, job_ids[1]).get_by_role("checkbox").check()
    page.get_by_role("button", name="Cancel 2…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Cancel 2 operations?")
    assert axe(page) == []
    screenshot(page, "list-cancel")
    dialog.get_by_role("button", name="Keep running").click()
    expect(dialog).to_have_count(0)
    assert {job["status"] for job in slow.get("/api/cto/jobs", userId=user)["jobs"]} == {"active"}
    page.get_by_role("button", name="Cancel 2…").click()
    dialog.get_by_role("button", name="Cancel 2 operations").click()
    for job_id in job_ids[:2]:
        expect(row(page, job_id).locator(".c-state")).to_contain_text("cancelled")  # or: partial, cancelled
    expect(row(page, job_ids[2]).locator(".badge")).to_have_text("running")
    page.get_by_label("Status").select_option(label="Cancelled")
    expect(page.locator("[data-job]")).to_have_count(2)
    assert page.url.endswith(f"?userId={user}&errorCode=cancelled")
    expect(page.locator(".chip")).to_have_count(1)  # the owner
    expect(page.locator(".t-cancelled dd")).to_have_text("2")
    page.get_by_label("Status").select_option(label="Any status")
    expect(page.locator("[data-job]")).to_have_count(3)
    expect(page.locator(".t-cancelled dd")).to_have_text("2")
    page.locator(".t-cancelled a").click()
    expect(page.get_by_label("Status")).to_have_value("errorCode=cancelled")
    expect(page.locator("[data-job]")).to_have_count(2)
    open_console(page, slow, f"/?userId={user}&status=failed&errorCode=cancelled")
    page.get_by_label("Status").select_option(label="Any status")
    expect(page.locator("[data-job]")).to_have_count(3)
    assert page.url.endswith(f"/?userId={user}")
    slow.cto("cancel", job_ids[2])


def test_a_view_is_saved_and_opened_again(system, page, user):
    job_id = system.submit(userId=user)
    system.ended(job_id)
    open_console(page, system, f"/?userId={user}&outcome=full")
    page.get_by_text("Views", exact=True).click()
    page.get_by_label("Save this view").fill("Mine")
    page.get_by_role("button", name="Save", exact=True).click()
    open_console(page, system)
    page.get_by_text("Views", exact=True).click()
    page.get_by_role("button", name="Mine", exact=True).click()
    expect(row(page, job_id)).to_be_visible()
    assert page.url.endswith(f"?userId={user}&outcome=full")
    page.get_by_text("Views", exact=True).click()
    page.get_by_role("button", name="Remove view Mine").click()
    expect(page.get_by_text("No saved views")).to_be_visible()
    assert json.loads(page.evaluate("localStorage['cto-views']")) == []


def test_csv_contains_every_matching_operation(system, page, user):
    job_ids = {system.submit(userId=user) for _ in range(3)}
    failed = system.submit(userId=user, buyAmount=1_000)
    for job_id in (*job_ids, failed):
        system.ended(job_id)
    open_console(page, system, f"/?userId={user}&outcome=full")
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    with download.value.path().open() as file:
        assert {line["jobId"] for line in csv.DictReader(file)} == job_ids


def test_thousands_of_events_keep_the_list_small(system, page, user):
    """Only visible rows are in the page, older pages are loaded, and the order is that of acceptance."""
    fields = {"walletCount": 5, "buyAmount": 0.1, "slippageBps": 10_000}  # the jobs move each other's price
    job_ids = [system.submit(userId=user, **fields) for _ in range(120)]
    open_console(page, system, f"/?userId={user}")
    for job_id in job_ids:
        system.ended(job_id)
    expect(page.locator(".t-running dd")).to_have_text("0")
    expect(page.locator(".list-count")).to_contain_text("of 120 loaded")
    assert page.locator("[data-job]").count() < 60
    expect(page.locator("[data-job]").first).to_have_attribute("data-job", job_ids[-1])

    def scroll_to_the_end():
        page.locator(".frame").evaluate("frame => frame.scrollTo(0, frame.scrollHeight)")
        return row(page, job_ids[0]).is_visible()

    wait_until(scroll_to_the_end)
    expect(page.get_by_text("End of the list")).to_be_visible()


def test_an_event_that_arrives_while_the_list_is_loaded_is_shown(slow, page, user):
    """The list's pages are older than the event: they are held until it has arrived."""
    job_id, held, frames = slow.submit(userId=user), [], []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(str(frame))))
    page.route("**/api/cto/jobs?userId=*", lambda route: held.append((route, route.fetch())))
    open_console(page, slow, f"/?userId={user}")

    def in_page(condition):
        wait_until(lambda: page.wait_for_timeout(20) or condition())

    in_page(lambda: len(held) == 3)  # the newest, the waiting and the active operations
    slow.ended(job_id)
    in_page(lambda: any(job_id in frame and '"status":"completed"' in frame for frame in frames))
    page.wait_for_timeout(1_000)  # longer than the list waits before it requests an unknown operation
    for route, response in held:
        route.fulfill(response=response)
    page.unroute("**/api/cto/jobs?userId=*")
    expect(row(page, job_id).locator(".badge")).to_have_text("completed")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1_920), ("dark", 320)])
def test_the_list_is_accessible_and_fits_the_screen(rough, page, user, axe, screenshot, scheme, width):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    open_console(page, rough, f"/?userId={user}")
    expect(page.get_by_text("No operation matches these filters")).to_be_visible()
    assert axe(page) == []
    for job in (*with_outcomes(rough, user, "partial", "unknown", walletCount=6),):
        expect(row(page, job["jobId"])).to_be_visible()
    failed = rough.submit(userId=user, buyAmount=1_000)
    expect(row(page, failed).locator(".badge")).to_have_text("failed")
    expect(page.locator(".t-none dd")).to_have_text("1")
    assert axe(page) == []
    assert page.evaluate(FITS)
    screenshot(page, f"list-{scheme}-{width}")
    assert cut_at_any_width(page, ".operations td", ".badge") == {}


def test_the_reason_of_a_failure_can_be_read_at_any_width(rough, page, user):
    (unknown,) = with_outcomes(rough, user, "unknown", mode="standard", walletCount=12)
    failed = rough.submit(userId=user, buyAmount=1_000)
    error = rough.ended(failed)["operationResult"]["error"]
    open_console(page, rough, f"/?userId={user}")
    reason = row(page, failed).locator(".reason")
    expect(reason).to_have_attribute("title", f"insufficient_funds: {error}")
    expect(row(page, unknown["jobId"]).locator(".reason")).to_be_visible()
    for width in (*WIDTHS, 1_440):
        page.set_viewport_size({"width": width, "height": 900})
        clipped = page.locator(".reason").evaluate_all(
            "all => all.filter((e) => e.scrollHeight > e.clientHeight + 1 || e.scrollWidth > e.clientWidth)"
            ".map((e) => e.textContent)"
        )
        assert clipped == [], width


def test_an_operation_is_started_in_the_dialog(slow, page, user, troubles, axe, screenshot):
    troubles.expect("400 (BAD REQUEST)")
    open_console(page, slow)
    page.keyboard.press("n")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Simulated market")
    dialog.locator("[name=tokenAddress]").fill("nonsense")
    dialog.locator("[name=buyAmount]").fill("-1")
    dialog.get_by_role("button", name="Start", exact=True).click()
    expect(dialog.locator("[name=tokenAddress]")).to_have_attribute("aria-invalid", "true")
    expect(dialog.locator("[name=tokenAddress]")).to_be_focused()
    expect(dialog.locator("#buyAmount-error")).to_contain_text("greater than 0")
    expect(dialog.locator("[name=walletCount]")).to_have_attribute("aria-invalid", "false")
    assert axe(page) == []
    screenshot(page, "start-errors")
    dialog.locator("[name=tokenAddress]").fill("1" * 40)  # only the gateway knows that this is too long
    dialog.locator("[name=buyAmount]").fill("0.1")
    dialog.get_by_role("button", name="Start", exact=True).click()
    expect(dialog.locator("#tokenAddress-error")).to_contain_text("32 bytes")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    job_id = start(page, user, slippage="12.5")
    expect(page.locator(".run .badge").first).to_have_text("completed")
    assert slow.get(f"/api/cto/job/{job_id}/status")["status"] == "completed"


def start_dialog(page, system, user, amount):
    """Open the console and its start dialog, and fill in a random token, a user and an amount of SOL."""
    open_console(page, system)
    page.get_by_role("button", name="Start operation").first.click()
    dialog = page.get_by_role("dialog")
    page.get_by_role("button", name="Random").click()
    for name, value in {"userId": user, "buyAmount": amount}.items():
        dialog.locator(f"[name={name}]").fill(value)
    return dialog


def test_a_balance_that_arrives_after_the_question_is_regarded(system, page, user):
    held = []
    page.route("**/api/cto/wallets?*", lambda request: held.append(request))  # noqa: PLW0108 - not a built-in
    dialog = start_dialog(page, system, user, "112")
    dialog.get_by_role("button", name="Start", exact=True).click()
    expect(dialog).to_contain_text("Reading the balance…")
    spend = dialog.get_by_role("button", name="Spend 112 SOL")
    expect(spend).to_be_disabled()
    for request in held:
        request.continue_()
    page.unroute("**/api/cto/wallets?*")
    expect(dialog.get_by_role("alert")).to_contain_text("The balance is 12 SOL too low, before fees.")
    expect(spend).to_be_disabled()
    dialog.get_by_role("button", name="Back").click()
    dialog.locator("[name=buyAmount]").fill("12")
    dialog.get_by_role("button", name="Start", exact=True).click()
    expect(dialog.get_by_role("button", name="Spend 12 SOL")).to_be_enabled()
    assert system.get("/api/cto/jobs", userId=user)["jobs"] == []


def test_a_large_start_is_confirmed(system, page, user):
    dialog = start_dialog(page, system, user, "12")
    expect(dialog.locator(".preview")).to_contain_text("12 SOL to buy")
    expect(dialog.locator(".preview")).to_contain_text("2.4 SOL for each wallet")
    expect(dialog.locator(".preview")).to_contain_text("100 SOL in the funding wallet")
    dialog.locator("[name=buyAmount]").fill("112")
    dialog.get_by_role("button", name="Start", exact=True).click()
    expect(dialog.locator("#buyAmount-error")).to_have_text("The balance is 12 SOL too low, before fees.")
    dialog.locator("[name=buyAmount]").fill("12")
    dialog.locator("[name=mode]").select_option("prefunded")
    expect(dialog.locator(".preview")).to_contain_text("100 SOL in the wallet with the least")
    dialog.locator("[name=mode]").select_option("standard")
    dialog.get_by_role("button", name="Start", exact=True).click()
    expect(dialog).to_contain_text("It spends up to 12 SOL from 5 wallets.")
    dialog.get_by_role("button", name="Back").click()
    expect(dialog.locator("[name=buyAmount]")).to_have_value("12")
    assert system.get("/api/cto/jobs", userId=user)["jobs"] == []
    dialog.get_by_role("button", name="Start", exact=True).click()
    dialog.get_by_role("button", name="Spend 12 SOL").click()
    page.wait_for_url("**/operations/*")
    (job,) = system.get("/api/cto/jobs", userId=user)["jobs"]
    assert job["buyAmount"] == 12
