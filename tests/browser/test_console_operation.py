"""The console's page of one operation."""

from __future__ import annotations

import json
import re

import pytest
from browser.console_page import (
    FITS,
    cut_at_any_width,
    fill_in,
    open_console,
    row,
    start,
    wallets,
    with_outcomes,
)
from playwright.sync_api import expect
from support.waiting import wait_until


def periods(bars):
    """Return begin and end of bars, in per cent of the chart."""
    styles = bars.evaluate_all("bars => bars.map(({ style }) => [style.left, style.width])")
    lefts_and_widths = [(float(left[:-1]), float(width[:-1])) for left, width in styles]
    return [(left, left + width) for left, width in lefts_and_widths]


def test_an_operation_is_watched_to_its_end(slow, context, user, screenshot):
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = open_console(context.new_page(), slow)
    job_id = start(page, user, mode="standard")
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-label", re.compile("Executing"))
    expect(wallets(page)).to_have_count(3)
    expect(page.locator(".span.running")).to_have_count(3)
    screenshot(page, "operation-running")
    expect(page.locator(".run .badge")).to_have_text("completed")
    expect(page.get_by_text("3 of 3 buys succeeded")).to_be_visible()
    transfers, buys = (periods(page.locator(f".waterfall .{kind}.confirmed")) for kind in ("transfer", "buy"))
    assert (len(transfers), len(buys)) == (3, 3)
    for each in (transfers, buys):
        assert max(begin for begin, _ in each) < min(end for _, end in each), "the wallets overlap"
    assert all(end <= begin + 0.1 for (_, end), (begin, _) in zip(transfers, buys, strict=True)), (
        "each wallet buys after its own transfer"
    )
    result = slow.get(f"/api/cto/job/{job_id}/status")["operationResult"]
    addresses = page.locator(".waterfall .w-wallet .mono").evaluate_all("all => all.map(e => e.title)")
    assert addresses == [wallet["wallet"] for wallet in result["wallets"]]
    first = wallets(page).first
    spent = first.locator(".w-spent .number").get_attribute("title")
    assert spent == f"{result['wallets'][0]['spent']:.9f}".rstrip("0") + " SOL"
    fee = float(first.locator(".w-fee .number").get_attribute("title").removesuffix(" SOL"))
    assert fee == pytest.approx(result["wallets"][0]["spent"] - 0.02)
    (buy,) = [s for s in result["steps"] if (s["kind"], s["wallet"]) == ("buy", addresses[0])]
    copy = first.get_by_role("button", name="Copy signature").last
    copy.click()
    expect(first.get_by_role("button", name="Copied signature")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == buy["signature"]
    page.get_by_text("Events", exact=False).first.click()
    expect(page.locator(".events tbody tr")).to_have_count(11)
    page.get_by_label("Filter events").fill("validating parameters")
    expect(page.locator(".events tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Copy as curl request").first.click()
    command = page.evaluate("navigator.clipboard.readText()")
    assert command == f"curl '{slow.url}/api/cto/job/{job_id}/status'"
    page.get_by_text("Raw JSON").click()
    expect(page.locator("pre")).to_contain_text(job_id)
    assert json.loads(page.locator("pre").inner_text())["operationResult"] == result


def test_the_start_dialog_stays_open_until_the_gateway_has_answered(slow, page, user):
    held = []
    open_console(page, slow)
    page.route("**/api/cto/jobs", lambda route: held.append(route))  # noqa: PLW0108 - Playwright needs its signature
    page.get_by_role("button", name="Start operation").first.click()
    page.get_by_role("button", name="Random").click()
    fill_in(page, userId=user, walletCount=1, buyAmount=0.02)
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Start", exact=True).click()
    expect(dialog.get_by_text("has not answered yet")).to_be_visible()
    for _ in range(3):
        page.keyboard.press("Escape")
    expect(dialog.get_by_role("button", name="Starting…")).to_be_visible()
    for route in held:  # several on a busy machine: after 10 s the client sends the same request again
        route.continue_()
    page.wait_for_url("**/operations/*")
    expect(dialog).to_have_count(0)


def test_a_requested_cancellation_is_shown_until_the_operation_ends(slow, page, user):
    job_id = slow.submit(userId=user, walletCount=50, buyAmount=1)
    open_console(page, slow, f"/?userId={user}")
    row(page, job_id).get_by_role("link").click()
    accepted = {"jobId": job_id, "status": "active", "cancelRequested": True}
    page.route("**/cancel", lambda route: route.fulfill(status=202, json={"success": True, "data": accepted}))
    cancel = page.get_by_role("button", name="Cancel operation")
    cancel.click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel operation").click()
    expect(page.locator(".run .badge")).to_have_text("cancelling")
    expect(cancel).to_be_disabled()
    page.locator("a.back").click()
    assert page.url.endswith(f"/?userId={user}"), "the list has its filters"
    expect(row(page, job_id).locator(".badge")).to_have_text("cancelling")
    slow.cto("cancel", job_id)
    expect(row(page, job_id).locator(".c-state")).to_contain_text("cancelled")  # or: partial, cancelled


def test_it_is_cancelled_only_after_confirmation(slow, page, user, axe):
    job_id = slow.submit(userId=user, walletCount=50, buyAmount=1)
    open_console(page, slow, f"/operations/{job_id}")
    expect(page.locator(".span.running")).to_have_count(3)
    expect(page.locator("[data-result=running]")).to_have_count(3)
    cancel = page.get_by_role("button", name="Cancel operation")
    cancel.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert axe(page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert slow.get(f"/api/cto/job/{job_id}/status")["status"] == "active"
    cancel.click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel operation").click()
    expect(page.locator(".run .badge")).to_have_text(re.compile("cancelled|partial"))
    expect(page.locator(".summary .error code")).to_have_text("cancelled")
    expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1_280), ("dark", 320)])
def test_it_shows_which_wallets_failed_and_why(rough, page, user, axe, screenshot, scheme, width):
    partial, unknown = with_outcomes(rough, user, "partial", "unknown", mode="standard", walletCount=6)
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    texts = {"confirmed": "bought", "not_started": "not reached"}
    for name, status in (("partial", partial), ("unknown", unknown)):
        open_console(page, rough, f"/operations/{status['jobId']}")
        badge = {"partial": "partial", "unknown": "needs review"}[name]
        expect(page.locator(".run .badge")).to_have_text(badge)
        expect(wallets(page)).to_have_count(6)
        expected = []
        for each in status["operationResult"]["wallets"]:
            bad = [kind for kind in ("transfer", "buy") if each[kind] in {"failed", "unknown"}]
            text = f"{bad[0]} {each[bad[0]]}" if bad else texts[each["buy"]]
            expected.append([each["wallet"], text, each.get("error", "")])
        cells = wallets(page).evaluate_all(
            "rows => rows.map(row => [row.querySelector('.mono').title,"
            " row.querySelector('.result').textContent,"
            " row.querySelector('.w-result .reason')?.textContent ?? ''])"
        )
        assert cells == expected
        groups = page.locator(".failures button")
        counts = [int(text.split()[0]) for text in groups.all_inner_texts()]
        assert sum(counts) == sum(text != "bought" for _, text, _ in expected)
        groups.first.click()
        expect(wallets(page)).to_have_count(counts[0])
        page.get_by_role("button", name="Show all wallets").click()
        page.get_by_role("button", name="Failed first").click()
        expect(wallets(page)).to_have_count(6)
        assert wallets(page).first.get_attribute("data-result") in {"failed", "unknown"}
        heights = wallets(page).evaluate_all("rows => rows.map((row) => row.clientHeight)")
        assert width < 1_000 or max(heights) - min(heights) <= 1, "rows do not move when a reason appears"
        link = page.locator(".w-transactions a").first
        assert link.get_attribute("href").startswith("https://explorer.example/tx/")
        trace_id = status["progressEvents"][0]["details"]["traceId"]
        trace = page.get_by_title("Open the trace of this operation")
        assert trace.get_attribute("href") == f"https://traces.example/trace/{trace_id}"
        assert axe(page) == []
        assert page.evaluate(FITS)
        screenshot(page, f"operation-{name}-{scheme}-{width}")
    expect(page.get_by_role("link", name="Review", exact=True).last).to_have_attribute(
        "href", f"/review#{unknown['jobId']}"
    )
    bad = next(each for each in expected if each[1] != "bought")[0]
    page.get_by_text("Events", exact=False).first.click()
    page.get_by_label("Filter events").fill(bad)
    number = [each[0] for each in expected].index(bad) + 1
    expect(page.locator(".events .error").last).to_contain_text(f"wallet {number} ({bad[:4]}…{bad[-4:]})")
    page.get_by_text("Audit log").click()
    expect(page.locator(".audit-entries tbody tr")).to_contain_text(["job.submit"])
    assert cut_at_any_width(page, ".parameters dd", "time") == {}
    page.locator(f".w-wallet a[title='{bad}']").click()
    page.wait_for_url(f"{rough.url}/?wallet={bad}")
    row(page, unknown["jobId"]).get_by_role("link").click()
    expect(page.locator(f"[data-marked=true] a[title='{bad}']")).to_be_visible()


def test_a_run_is_replayed_from_its_events(rough, page, user, axe, screenshot):
    job_id = rough.submit(userId=user, mode="standard", walletCount=6)
    rough.ended(job_id)
    open_console(page, rough, f"/operations/{job_id}")
    final = page.locator(".run .badge").inner_text()
    expect(wallets(page)).to_have_count(6)
    page.get_by_role("button", name="Replay").click()
    expect(page.locator(".run .badge")).to_have_text(final)  # it plays to the end by itself
    slider = page.get_by_label("Time since the start")
    slider.fill("0")
    expect(page.locator(".run .badge")).to_have_text(re.compile("waiting|running"))
    expect(page.locator(".waterfall .confirmed")).to_have_count(0)
    assert axe(page) == []
    screenshot(page, "operation-replay")
    page.get_by_label("Speed").select_option("60×")
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.locator(".run .badge")).to_have_text(final)
    expect(slider).not_to_be_focused()
    page.get_by_role("button", name="Leave replay").press("Enter")
    expect(slider).to_have_count(0)
    expect(page.get_by_role("button", name="Replay")).to_be_focused()
    page.keyboard.press("Enter")
    expect(slider).to_be_focused()
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()  # it is over
    page.keyboard.press("Home")
    expect(slider).to_have_value("0")
    expect(slider).to_be_focused()
    page.get_by_role("button", name="Leave replay").click()
    page.get_by_role("button", name="Start again…").click()
    request = {"buyAmount": "0.05", "walletCount": "6", "mode": "standard", "userId": user}
    for name, value in request.items():
        expect(page.locator(f"dialog [name={name}]")).to_have_value(value)
    page.keyboard.press("Escape")


def test_two_runs_are_compared_in_one_table_on_one_axis(rough, page, user, axe, screenshot):
    one, other = (rough.submit(userId=user, mode="standard", walletCount=count) for count in (2, 6))
    for job_id in (one, other):
        rough.ended(job_id)
    page.set_viewport_size({"width": 1_440, "height": 900})
    open_console(page, rough, f"/operations/{one}")
    page.get_by_role("button", name="Compare").click()
    recent = page.get_by_role("dialog").get_by_role("button", name=re.compile(other[:8]))
    expect(recent).to_contain_text("0.05 SOL")
    page.get_by_label("Id of an operation").fill(other)
    page.get_by_role("dialog").get_by_role("button", name="Compare").click()
    assert page.url.endswith(f"/operations/{one}?with={other}")
    expect(page.locator(".run .badge")).to_have_count(2)
    expect(wallets(page)).to_have_count(6)
    texts = wallets(page).evaluate_all(
        "rows => rows.map(({ cells }) => [...cells].slice(1)"
        ".map((cell) => cell.querySelector('.result')?.textContent))"
    )
    for place, job_id in enumerate((one, other)):
        results = rough.get(f"/api/cto/job/{job_id}/status")["operationResult"]["wallets"]
        assert [("bought" in row[place]) for row in texts if row[place]] == [
            each["buy"] == "confirmed" for each in results
        ]
    ends = page.locator(".compared .axis").all_inner_texts()
    assert ends[0] == ends[1]
    expect(page.locator(".differences tr").filter(has_text="Wallets that bought")).to_be_visible()
    assert axe(page) == []
    screenshot(page, "operation-compare")
    page.set_viewport_size({"width": 320, "height": 900})
    assert page.evaluate(FITS)
    screenshot(page, "operation-compare-320")
    page.get_by_role("button", name="Close comparison").click()
    expect(page.locator(".run")).to_have_count(1)


def test_a_link_of_an_earlier_release_leads_to_the_operation(system, page, user):
    job_id = system.submit(userId=user)
    system.ended(job_id)
    open_console(page, system, f"/?room=job_{job_id}")
    expect(wallets(page)).to_have_count(2)
    assert page.url.endswith(f"/operations/{job_id}")
    ago = page.locator(".facts .ago")
    shown = ago.inner_text()
    wait_until(lambda: ago.inner_text() != shown)  # the time runs on after the end
    open_console(page, system, f"/?room=user_{user}")
    wait_until(lambda: page.url.endswith(f"/?userId={user}"))


def test_an_unknown_operation_is_explained(system, page):
    page.goto(f"{system.url}/operations/unknown")
    expect(page.get_by_role("alert").get_by_text("There is no such operation")).to_be_visible()
