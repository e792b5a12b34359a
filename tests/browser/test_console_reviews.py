"""The console's page of reviews: the market's answers, the figures of a resolution, and filters."""

from __future__ import annotations

import re
from contextlib import closing

import pytest
from browser.console_page import FITS, open_console, with_outcomes
from browser.test_console_operators import review_of
from playwright.sync_api import expect
from support.samples import MINT
from support.system import SplitSystem

from cto_worker.markets.paper.market import address
from cto_worker.store import keys

REVIEWS = 105
OTHER_MINT = address("another mint", 0)


@pytest.fixture
def market_of(rough):
    """Return the market's answer about each unknown step of a job, in order."""

    def market_of(job_id):
        orders = {each["intentId"]: each for each in rough.get(f"/api/cto/job/{job_id}/market")["orders"]}
        steps = rough.get(f"/api/cto/job/{job_id}/review")["unknownIntents"]
        return [orders[step["intentId"]] for step in steps]

    return market_of


def rows(review):
    return review.locator("tbody tr")


def sol(amount):
    return f"{amount:.9f}".rstrip("0")


@pytest.mark.parametrize(("width", "mode"), [(1_440, "prefunded"), (768, "standard"), (320, "prefunded")])
def test_an_operator_records_what_the_market_says(rough, page, user, axe, screenshot, market_of, width, mode):
    (unknown,) = with_outcomes(rough, user, "unknown", mode=mode, walletCount=6)
    job_id = unknown["jobId"]
    orders = market_of(job_id)
    page.set_viewport_size({"width": width, "height": 900})
    open_console(page, rough, f"/review?userId={user}")
    review = review_of(page, job_id)
    for order in orders:
        shown = rows(review).filter(has=page.get_by_title(order["signature"]))
        expect(shown.locator(".market")).to_contain_text(f"spent {sol(order['spent'])} SOL")
    assert page.evaluate(FITS)
    screenshot(page, f"review-market-{width}")
    for number, order in enumerate(orders):
        # The wrong button: the figures of the market correct it.
        name = "Not executed" if order["executed"] else "Executed"
        rows(review).first.get_by_role("button", name=name, exact=True).click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Use these figures").click()
        expect(dialog.locator("[name=spent]")).to_have_value(sol(order["spent"]))
        if number == 0:
            assert axe(page) == []
            assert page.evaluate(FITS)
            screenshot(page, f"review-figures-{width}")
        kind = "executed" if order["executed"] else "not executed"
        dialog.get_by_role("button", name=f"Record as {kind}", exact=True).click()  # no warning
        expect(dialog).to_have_count(0)
    expect(review).to_have_count(0)
    status = rough.get(f"/api/cto/job/{job_id}/status")
    fields = ("intentId", "executed", "spent", "tokens")
    assert not status["needsReview"]
    assert status["status"] == unknown["status"], "the status stays that of the end"
    assert [[each[name] for name in fields] for each in status["resolutions"]] == [
        [each[name] for name in fields] for each in orders
    ]


def test_other_figures_than_those_of_the_market_need_a_second_confirmation(rough, page, user, market_of):
    (unknown,) = with_outcomes(rough, user, "unknown", walletCount=6)
    job_id = unknown["jobId"]
    order = market_of(job_id)[0]
    open_console(page, rough, f"/review?userId={user}")
    name = "Not executed" if order["executed"] else "Executed"
    rows(review_of(page, job_id)).first.get_by_role("button", name=name, exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".market")).to_be_visible()
    dialog.locator("[name=spent]").fill("0")
    dialog.get_by_role("button", name="Record as").click()
    expect(dialog.get_by_role("alert").filter(has_text="The market says:")).to_contain_text(
        sol(order["spent"])
    )
    assert market_of(job_id)[0]["intentId"] == order["intentId"], "nothing is recorded yet"
    dialog.get_by_role("button", name="Record as").click()
    expect(dialog).to_have_count(0)
    (recorded,) = rough.get(f"/api/cto/job/{job_id}/status")["resolutions"]
    assert (recorded["executed"], recorded["spent"]) == (not order["executed"], 0)


def test_reviews_are_filtered_by_owner_and_token(rough, page, troubles, user, screenshot):
    (mine,) = with_outcomes(rough, user, "unknown", walletCount=6, tokenAddress=MINT)
    (others,) = with_outcomes(rough, f"{user}b", "unknown", walletCount=6, tokenAddress=OTHER_MINT)
    reviews = page.locator(".review")
    open_console(page, rough, f"/review?userId={user}")
    expect(review_of(page, mine["jobId"])).to_be_visible()
    expect(review_of(page, others["jobId"])).to_have_count(0)
    page.get_by_role("searchbox", name="Owner").fill(f" {user}b ")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/review?userId={user}b")
    expect(review_of(page, others["jobId"])).to_be_visible()
    expect(review_of(page, mine["jobId"])).to_have_count(0)
    page.get_by_role("searchbox", name="Token").fill(MINT)
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url(f"**/review?userId={user}b&tokenAddress={MINT}")
    expect(reviews).to_have_count(0)
    screenshot(page, "review-no-match")
    page.get_by_role("button", name="Clear filters").click()
    page.wait_for_url("**/review")
    expect(review_of(page, mine["jobId"])).to_be_visible()
    page.go_back()
    expect(page.get_by_role("searchbox", name="Token")).to_have_value(MINT)
    troubles.expect("400")
    page.goto(f"{rough.url}/review?tokenAddress=x")
    expect(page.get_by_role("alert")).to_contain_text("tokenAddress: Must be an address")


@pytest.fixture
def silent():
    """A system without a gateway, whose market reports no result in time. Orders never expire."""
    rates = {"CTO_PAPER_SILENT_RATE": "1", "CTO_PAPER_LATENCY_MS": "0", "CTO_PAPER_TIMEOUT_MS": "50"}
    with closing(SplitSystem(**rates, CTO_PAPER_EXPIRY_MS="0")) as system:
        system.worker()
        yield system


def run_for_review(system, count):
    jobs = [system.submit(mode="prefunded", walletCount=1) for _ in range(count)]
    system.wait_for_end(jobs)
    return jobs


def test_every_review_can_be_reached_without_an_answer_of_the_market(silent, page, axe):
    run_for_review(silent, REVIEWS)
    silent.gateway(CTO_PAPER_URL="redis://127.0.0.1:1/0")  # the gateway has no access to the market
    open_console(page, silent, "/review")
    reviews = page.locator(".review")
    for count in (*range(20, REVIEWS, 20), REVIEWS):
        expect(reviews).to_have_count(count)
        if count < REVIEWS:
            page.get_by_role("button", name="Show more").click()
    expect(page.get_by_role("button", name="Show more")).to_have_count(0)
    review = reviews.first
    expect(review).to_contain_text("Gateways cannot ask the market paper")
    expect(review.locator("code.break")).to_contain_text("cto market operation ")
    expect(review.locator(".market")).to_have_count(0)
    review.get_by_role("button", name="Executed", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Use these figures")).to_have_count(0)
    assert axe(page) == []
    job_id = review.get_by_title(re.compile("^[0-9a-f-]{36}$")).get_attribute("title")
    dialog.locator("[name=tokens]").fill("140,116,000.261221")  # times 10^6 this is no whole number
    dialog.get_by_role("button", name="Record as executed").click()
    expect(dialog).to_have_count(0)
    expect(reviews).to_have_count(REVIEWS - 1)
    (recorded,) = silent.get(f"/api/cto/job/{job_id}/status")["resolutions"]
    assert recorded["tokens"] == 140_116_000_261_221


def test_an_order_that_may_still_be_executed_needs_a_second_confirmation(silent, page, screenshot):
    (job_id,) = run_for_review(silent, 1)
    silent.gateway()
    (step,) = silent.get(f"/api/cto/job/{job_id}/review")["unknownIntents"]
    silent.market.delete(keys.paper_intent(step["intentId"]))  # as before its arrival
    open_console(page, silent, "/review")
    review = review_of(page, job_id)
    expect(review.locator(".market")).to_contain_text("not executed, but it may still be")
    review.get_by_role("button", name="Not executed").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Use these figures")).to_have_count(0)
    dialog.get_by_role("button", name="Record as not executed").click()
    expect(dialog.get_by_role("alert").filter(has_text="may still execute this order")).to_be_visible()
    screenshot(page, "review-late")
    assert silent.get(f"/api/cto/job/{job_id}/status")["needsReview"]
    dialog.get_by_role("button", name="Record as not executed").click()
    expect(review).to_have_count(0)
    assert not silent.get(f"/api/cto/job/{job_id}/status")["needsReview"]
