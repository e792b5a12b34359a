"""The dashboard in a real browser."""

from __future__ import annotations

import json
import re
import time
import uuid

import pytest
from browser.conftest import WAIT_MS
from playwright.sync_api import expect
from support.processes import environment
from support.system import System
from support.tokens import token
from support.waiting import wait_until

from api.auth.token_revocations import revoke

expect.set_options(timeout=WAIT_MS)


@pytest.fixture
def user():
    return f"d{uuid.uuid4().hex[:10]}"


@pytest.fixture(scope="module")
def slow():
    """A system with slow transfers and buys, three at a time, which can be watched and cancelled."""
    slowly = environment(CTO_PAPER_LATENCY_MS="900", CTO_OPERATION_PARALLELISM="3")
    system = System(slowly, "--no-flower").ready()
    yield system
    system.stop()


def open_room(page, system, room=""):
    page.goto(f"{system.url}/{f'?room={room}' if room else ''}")
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    return page


def fill_in(page, **fields):
    for name, value in fields.items():
        page.locator(f"#start [name={name}]").fill(str(value))


def start(page, user, *, mode="prefunded", wallets=3, **fields):
    fill_in(page, userId=user, walletCount=wallets, buyAmount=0.02 * wallets, **fields)
    page.locator("#mode").select_option(mode)
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#start-result")).to_have_text("Started.")


def _periods(bars):
    """Return begin and end of bars, in per cent of the chart."""
    styles = bars.evaluate_all("bars => bars.map(({ style }) => [style.left, style.width])")
    lefts_and_widths = [(float(left[:-1]), float(width[:-1])) for left, width in styles]
    return [(left, left + width) for left, width in lefts_and_widths]


def card(page, status, within="#jobs"):
    return page.locator(f"{within} .job[data-status={status}]").first


def test_an_operation_is_started_watched_and_shown_in_detail(slow, context, user, screenshot):
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = open_room(context.new_page(), slow, f"user_{user}")
    expect(page.get_by_text("Nothing is running.")).to_be_visible()
    start(page, user, mode="standard")
    running = card(page, "in_progress")
    expect(running.get_by_role("progressbar")).to_have_attribute("aria-valuetext", re.compile("Executing"))
    running.get_by_role("button", name="Details").click()
    expect(page.locator(".chart .wallet")).to_have_count(3)
    screenshot(page, "dashboard-running")
    done = card(page, "completed")
    expect(done.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "100")
    expect(done.locator(".chart .phase")).to_have_count(4)
    expect(done.locator(".chart .transfer.confirmed")).to_have_count(3)
    expect(done.locator(".chart .buy.confirmed")).to_have_count(3)
    transfers, buys = (_periods(done.locator(f".chart .{kind}")) for kind in ("transfer", "buy"))
    for periods in (transfers, buys):
        assert max(begin for begin, _ in periods) < min(end for _, end in periods), "the wallets overlap"
    assert all(end <= begin + 0.1 for (_, end), (begin, _) in zip(transfers, buys, strict=True)), (
        "each wallet buys after its own transfer"
    )
    expect(done.locator(".wallets tbody tr")).to_have_count(3)
    result = slow.get(f"/api/cto/job/{done.get_attribute('id').removeprefix('job-')}/status")[
        "operationResult"
    ]
    buys = [step for step in result["steps"] if step["kind"] == "buy"]
    assert done.locator(".wallets .address .mono").evaluate_all("s => s.map(e => e.title)") == [
        text for buy in buys for text in (buy["wallet"], buy["signature"])
    ]
    done.get_by_role("button", name="Copy signature").first.click()
    expect(done.get_by_role("button", name="Copied signature")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == buys[0]["signature"]
    expect(page.locator("#totals")).to_contain_text(re.compile(r"completed\s*1", re.IGNORECASE))
    expect(page.locator("#announcer")).to_contain_text("completed: 3 buys succeeded")
    done.get_by_text("All events").click()
    expect(done.locator(".log li")).to_have_count(11)
    screenshot(page, "dashboard-done")


def test_errors_of_a_request_are_shown_at_its_fields(slow, page, troubles, axe, user):
    troubles.expect("400 (BAD REQUEST)")
    open_room(page, slow, f"user_{user}")
    fill_in(page, tokenAddress="nonsense", buyAmount="-1", userId=user)
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#tokenAddress")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#tokenAddress")).to_be_focused()
    expect(page.locator("#buyAmount-error")).to_contain_text("greater than 0")
    expect(page.locator("#walletCount")).to_have_attribute("aria-invalid", "false")
    assert axe(page) == []
    page.get_by_role("button", name="Random").click()
    start(page, user)
    expect(page.locator("#start .error")).to_have_count(0)
    expect(card(page, "completed")).to_be_visible()


def test_an_operation_is_cancelled_only_after_confirmation(slow, page, user, axe, screenshot):
    open_room(page, slow, f"user_{user}")
    start(page, user, wallets=30)
    running = card(page, "in_progress")
    running.get_by_role("button", name="Details").click()
    expect(running.locator(".chart .buy[data-in-progress=true]")).to_have_count(3)
    expect(running.locator(".wallets .running")).to_have_count(3)
    cancel = running.get_by_role("button", name="Cancel")
    cancel.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert axe(page) == []
    screenshot(page, "dashboard-dialog")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(cancel).to_be_focused()
    cancel.click()
    page.get_by_role("button", name="Keep it running").click()
    (job,) = slow.get("/api/cto/jobs", userId=user)["jobs"]
    assert job["status"] == "active"
    cancel.click()
    page.get_by_role("button", name="Cancel operation").click()
    expect(card(page, "failed").locator("[data-part=error]")).to_contain_text("cancelled")


def test_the_keyboard_alone_is_enough(slow, page, user):
    open_room(page, slow, f"user_{user}")

    def tab_to(name):
        for _ in range(60):
            page.keyboard.press("Tab")
            focused = page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.textContent")
            if re.match(name, focused):
                return
        pytest.fail(f"60 tabs did not reach {name}")

    fill_in(page, userId=user, walletCount=30, buyAmount=0.6)
    page.locator("#mode").select_option("prefunded")
    page.locator("#tokenAddress").focus()
    tab_to("Start$")
    page.keyboard.press("Enter")
    expect(card(page, "in_progress")).to_be_visible()
    tab_to("Details of")
    page.keyboard.press("Enter")
    expect(page.locator(".details .chart")).to_be_visible()
    focused = page.evaluate("document.activeElement.ariaLabel")
    expect(page.locator(".wallets tbody tr")).not_to_have_count(0)
    assert page.evaluate("document.activeElement.ariaLabel") == focused, "drawing keeps the focus"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    tab_to("Cancel operation")
    page.keyboard.press("Enter")
    expect(card(page, "failed")).to_be_visible()
    page.locator("#tab-live").focus()
    page.keyboard.press("ArrowRight")
    expect(card(page, "failed", "#past")).to_be_visible()


def test_history_has_filters_and_pages_and_the_same_details(system, page, user, screenshot):
    job_ids = [system.submit(userId=user, walletCount=1, buyAmount=0.02) for _ in range(25)]
    failing = system.submit(userId=user, walletCount=1, buyAmount=1_000)
    for job_id in [*job_ids, failing]:
        system.ended(job_id)
    open_room(page, system, f"user_{user}")
    page.get_by_role("tab", name="History").click()
    page.locator("#history-user").fill(user)
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#past .job")).to_have_count(20)
    expect(page.locator("#past .job").first).to_have_id(f"job-{failing}")
    page.get_by_role("button", name="Load older").click()
    expect(page.locator("#past .job")).to_have_count(26)
    expect(page.get_by_role("button", name="Load older")).to_be_hidden()
    page.locator("#status").select_option("failed")
    expect(page.locator("#past .job")).to_have_count(1)
    expect(card(page, "failed", "#past").locator("[data-part=error]")).to_contain_text("insufficient_funds")
    page.locator("#status").select_option("needs_review")
    expect(page.get_by_text("No operations match these filters.")).to_be_visible()
    page.locator("#status").select_option("completed")
    expect(page.locator("#past .job")).to_have_count(20)
    screenshot(page, "dashboard-history")
    past = card(page, "completed", "#past")
    past.get_by_role("button", name="Details").click()
    expect(past.locator(".wallets tbody tr")).to_have_count(1)


def test_the_url_contains_the_shown_room(system, page, user):
    mine = system.submit(userId=user)
    other = system.submit(userId=f"{user}-other", walletCount=40, buyAmount=0.8)
    system.ended(mine)
    open_room(page, system, f"job_{mine}")
    expect(page.locator(f"#job-{mine} .wallets tbody tr")).to_have_count(2)  # details are open
    page.locator("#view-kind").select_option("all")
    assert page.url.endswith("?room=admin_launches")
    later = system.submit(userId=user, walletCount=30, buyAmount=0.6)
    expect(page.locator(f"#job-{later}")).to_be_visible()
    page.locator("#userId").fill(user)
    page.locator("#view-kind").select_option("user")
    assert page.url.endswith(f"?room=user_{user}")
    system.ended(other)
    last = system.submit(userId=user, walletCount=20, buyAmount=0.4)
    expect(page.locator(f"#job-{last}")).to_be_visible()
    expect(page.locator(f"#job-{other}")).to_have_count(0)
    page.go_back()
    assert page.url.endswith("?room=admin_launches")
    expect(page.locator("#view-kind")).to_have_value("all")


def test_an_unknown_operation_shows_an_error(system, page):
    open_room(page, system, "job_unknown")
    expect(page.locator("#room-error")).to_contain_text("no job")


def test_sign_in_is_required_and_users_see_only_their_own_operations(
    guarded, page, troubles, axe, user, screenshot
):
    troubles.expect("401")
    troubles.expect("WebSocket connection")
    page.goto(guarded.url)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.locator("main")).to_be_hidden()
    assert axe(page) == []
    screenshot(page, "dashboard-sign-in")
    page.get_by_label("Access token").fill("nonsense")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#sign-in-error")).to_contain_text("token")
    page.get_by_label("Access token").fill(token(user))
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    expect(page.locator("#view-kind")).to_have_value("user")
    assert page.locator("#view-kind option[value=all]").is_disabled()
    fill_in(page, walletCount=2, buyAmount=0.1)
    page.get_by_role("button", name="Start", exact=True).click()
    expect(card(page, "completed").locator(".facts")).to_contain_text(user)
    page.get_by_role("tab", name="History").click()
    expect(page.locator("#past .job")).to_have_count(1)
    page.reload()
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_an_admin_sees_all_users_and_must_sign_in_again_after_a_revocation(guarded, page, troubles, user):
    troubles.expect("401")
    troubles.expect("WebSocket connection")
    page.goto(guarded.url)
    page.get_by_label("Access token").fill(token(user, role="admin", jti=user, exp=time.time() + 600))
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    expect(page.locator("#view-kind")).to_have_value("all")
    expect(page.get_by_text("Nothing is running.")).to_be_visible()
    with guarded.store() as store:
        revoke(store, token_id=user, keep_s=600)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.locator("#sign-in-error")).to_contain_text("revoked")


def test_an_unreachable_gateway_is_shown_and_no_event_is_missed(system, tcp_proxy, page, troubles, user):
    troubles.expect("ERR_")
    troubles.expect("WebSocket connection")
    page.goto(f"{tcp_proxy.url}/?room=user_{user}")
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    job_id = system.submit(userId=user, walletCount=40, buyAmount=0.8)
    shown = page.locator(f"#job-{job_id}")
    expect(shown).to_be_visible()
    shown.get_by_role("button", name="Details").click()
    tcp_proxy.refuse("HTTP")
    expect(page.locator("#connection")).to_have_text("not reachable, trying again")
    missed = system.submit(userId=user)
    for each in (job_id, missed):
        system.ended(each)
    try_now = page.get_by_role("button", name="Try now")
    expect(try_now).to_be_visible()
    tcp_proxy.refuse()
    # The button may be gone: the page also reconnects by itself.
    try_now.evaluate_all("buttons => buttons.forEach((button) => button.click())")
    expect(page.locator(f"#job-{missed}[data-status=completed]")).to_be_visible()
    events = system.get(f"/api/cto/job/{job_id}/events")["events"]
    expect(shown.locator(".log li")).to_have_count(len(events))
    expect(shown.locator(".wallets tbody tr")).to_have_count(40)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1_920])
def test_every_view_is_accessible_and_fits_the_screen(system, page, user, axe, screenshot, scheme, width):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    open_room(page, system, f"user_{user}")
    expect(page.get_by_text("Nothing is running.")).to_be_visible()
    fits = "document.documentElement.scrollWidth <= innerWidth"
    assert axe(page) == []
    failing = system.submit(userId=user, buyAmount=1_000)
    job_id = system.submit(userId=user, mode="standard")
    for each in (failing, job_id):
        system.ended(each)
    page.locator(f"#job-{job_id}").get_by_role("button", name="Details").click()
    expect(page.locator(".wallets tbody tr")).to_have_count(2)
    assert axe(page) == []
    assert page.evaluate(fits)
    screenshot(page, f"dashboard-{scheme}-{width}")
    page.get_by_role("tab", name="History").click()
    expect(page.locator("#past .job").first).to_be_visible()
    assert axe(page) == []
    assert page.evaluate(fits)
    screenshot(page, f"dashboard-history-{scheme}-{width}")


def test_the_theme_is_remembered(system, page):
    open_room(page, system)
    button = page.locator("#theme")
    expect(button).to_have_text("Theme: automatic")
    button.click()
    button.click()
    expect(button).to_have_text("Theme: dark")
    page.reload()
    expect(button).to_have_text("Theme: dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 18, 23)"


def test_simulated_operations_use_the_gateway_only_for_the_page(system, page, user):
    page.goto(f"{system.url}/?simulate&room=user_{user}")
    start(page, user)
    done = page.locator("#jobs .job").first
    done.get_by_role("button", name="Details").click()
    expect(done.locator(".badge")).to_have_text(re.compile("completed|partial|failed"))
    expect(done.locator(".wallets tbody tr")).to_have_count(3)
    assert system.get("/api/cto/jobs", userId=user)["jobs"] == []


def test_the_page_stays_usable_among_thousands_of_events(system, page, user):
    """The number of cards is bounded, and a button still works. Speed is measured in benchmarks/."""
    open_room(page, system, f"user_{user}")
    fields = {"walletCount": 10, "buyAmount": 0.2, "slippageBps": 10_000}  # the jobs move each other's price
    job_ids = [system.submit(userId=user, **fields) for _ in range(150)]
    page.get_by_role("button", name="Random").click()
    before = page.locator("#tokenAddress").input_value()
    page.get_by_role("button", name="Random").click()
    assert page.locator("#tokenAddress").input_value() != before
    for job_id in job_ids:
        system.ended(job_id)
    expect(page.locator("#totals")).to_contain_text(re.compile(r"running\s*0", re.IGNORECASE))
    ended = page.locator("#totals div").evaluate_all(
        "all => all.filter(({ firstChild }) => ['completed', 'partial'].includes(firstChild.textContent))"
        ".reduce((sum, { lastChild }) => sum + Number(lastChild.textContent), 0)"
    )
    assert ended == 150
    wait_until(lambda: page.locator("#jobs .job").count() == 100)
    page.get_by_role("button", name="Show more").click()
    wait_until(lambda: page.locator("#jobs .job").count() == 150)
    order = page.locator("#jobs .job").evaluate_all("all => all.map((each) => each.id.slice(4))")
    assert order == job_ids[::-1]


@pytest.fixture(scope="module")
def rough():
    """A system whose market rejects some orders, and does not report others before the timeout."""
    rates = {"CTO_PAPER_FAILURE_RATE": "0.3", "CTO_PAPER_SILENT_RATE": "0.1", "CTO_PAPER_TIMEOUT_MS": "50"}
    system = System(environment(**rates), "--no-flower").ready()
    yield system
    system.stop()


def with_outcomes(system, user, *wanted, **changes):
    """Run operations until each of these outcomes occurred. Returns one status response for each."""
    found = {}
    for _ in range(60):
        page = system.ended(system.submit(userId=user, **changes))
        found.setdefault(page["outcome"], page)
        if found.keys() >= set(wanted):
            return [found[outcome] for outcome in wanted]
    raise AssertionError(f"60 operations had only the outcomes {sorted(found)}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1_280])
def test_an_operation_is_shown_with_its_outcome(rough, page, user, axe, screenshot, scheme, width):
    partial, unknown = with_outcomes(rough, user, "partial", "unknown", mode="standard", walletCount=6)
    none = rough.ended(rough.submit(userId=user, buyAmount=1_000))
    assert (partial["status"], none["outcome"]) == ("completed", "none")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    open_room(page, rough, f"user_{user}")
    page.get_by_role("tab", name="History").click()
    shown = {name: page.locator(f"#past #job-{job['jobId']}") for name, job in
             {"partial": partial, "unknown": unknown, "none": none}.items()}  # fmt: skip
    bought = partial["operationResult"]["successfulBuys"]
    expect(shown["partial"].locator(".badge")).to_have_text(f"partial {bought}/6")
    expect(shown["unknown"].locator(".badge")).to_have_text("needs review")
    expect(shown["none"].locator(".badge")).to_have_text("failed")
    first = page.locator("#past .job").first
    expect(first).to_have_attribute("data-state", "review")
    parts = (
        shown["partial"].locator(".part").evaluate_all("all => all.map(e => [e.className, e.style.flexGrow])")
    )
    assert parts == [["part bought", str(bought)], ["part failed", str(6 - bought)]]
    expect(shown["partial"].locator("[data-part=now]")).to_contain_text(
        f"{bought} bought, {6 - bought} failed"
    )
    screenshot(page, f"outcomes-{scheme}-{width}")
    for name in ("partial", "unknown"):
        shown[name].get_by_role("button", name="Details").click()
        expect(shown[name].locator(".wallets tbody tr")).to_have_count(6)
    for name, status in (("partial", partial), ("unknown", unknown)):
        cells = (
            shown[name]
            .locator(".wallets tbody tr")
            .evaluate_all(
                "rows => rows.map(row => [row.querySelector('.mono').title,"
                " ...[1, 2].map(at => row.children[at].querySelector('.outcome').textContent)])"
            )
        )
        words = {"confirmed": ("confirmed", "bought"), "not_started": ("not reached", "not tried")}
        assert cells == [
            [row["wallet"], words.get(row["transfer"], (row["transfer"],) * 2)[0],
             words.get(row["buy"], (row["buy"],) * 2)[1]]
            for row in status["operationResult"]["wallets"]
        ]  # fmt: skip
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    screenshot(page, f"outcomes-details-{scheme}-{width}")


def test_an_operation_that_needs_review_comes_first_and_is_resolved(rough, page, user, screenshot):
    open_room(page, rough, f"user_{user}")
    (unknown,) = with_outcomes(rough, user, "unknown", walletCount=6)
    later = rough.submit(userId=user, buyAmount=1_000)
    expect(page.locator(f"#jobs #job-{later} .badge")).to_have_text("failed")
    expect(page.locator("#jobs .job").first.locator(".badge")).to_have_text("needs review")
    screenshot(page, "outcomes-live")
    intents = json.loads(rough.cto("resolve", unknown["jobId"], "--json").stdout)["unknownIntents"]
    assert intents
    assert "needs review" in rough.cto("jobs", "--user", user).stdout
    for intent in intents:
        rough.cto("resolve", unknown["jobId"], "--intent", intent["intentId"], "--executed", "--yes")
    page.get_by_role("tab", name="History").click()
    expect(page.locator(f"#past #job-{unknown['jobId']} .badge")).to_have_text("unknown, reviewed")
    status = rough.get(f"/api/cto/job/{unknown['jobId']}/status")
    assert (status["outcome"], status["needsReview"]) == ("unknown", False)
    assert status["operationResult"] == unknown["operationResult"]


def test_the_command_line_shows_the_outcome(rough, user):
    (partial,) = with_outcomes(rough, user, "partial", walletCount=6)
    buys = f"{partial['operationResult']['successfulBuys']}/6"
    (line,) = [
        line for line in rough.cto("jobs", "--user", user).stdout.splitlines() if partial["jobId"] in line
    ]
    assert f"partial {buys}" in line
    assert "completed" not in line
    watched = rough.cto("watch", partial["jobId"])
    assert f"partial {buys}: " in watched.stdout.splitlines()[-1]
    assert "completed" not in watched.stdout
