"""The console's page of reviews: the list, and its filters."""

from __future__ import annotations

import re
from contextlib import closing

import pytest
from browser.console_page import open_console, with_outcomes
from browser.test_console_operators import review_of
from playwright.sync_api import expect
from support.samples import MINT
from support.system import SplitSystem

from cto_worker.markets.paper.market import address

REVIEWS = 105
OTHER_MINT = address("another mint", 0)


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
    """A system without a gateway, whose market reports no result in time."""
    rates = {"CTO_PAPER_SILENT_RATE": "1", "CTO_PAPER_LATENCY_MS": "0", "CTO_PAPER_TIMEOUT_MS": "50"}
    with closing(SplitSystem(**rates)) as system:
        system.worker()
        yield system


def run_for_review(system, count):
    jobs = [system.submit(mode="prefunded", walletCount=1) for _ in range(count)]
    system.wait_for_end(jobs)
    return jobs


def test_every_review_can_be_reached(silent, page):
    run_for_review(silent, REVIEWS)
    silent.gateway()
    open_console(page, silent, "/review")
    reviews = page.locator(".review")
    for count in (*range(20, REVIEWS, 20), REVIEWS):
        expect(reviews).to_have_count(count)
        if count < REVIEWS:
            page.get_by_role("button", name="Show more").click()
    expect(page.get_by_role("button", name="Show more")).to_have_count(0)
    review = reviews.first
    review.get_by_role("button", name="Executed", exact=True).click()
    dialog = page.get_by_role("dialog")
    job_id = review.get_by_title(re.compile("^[0-9a-f-]{36}$")).get_attribute("title")
    dialog.locator("[name=tokens]").fill("140,116,000.261221")  # times 10^6 this is no whole number
    dialog.get_by_role("button", name="Record as executed").click()
    expect(dialog).to_have_count(0)
    expect(reviews).to_have_count(REVIEWS - 1)
    (recorded,) = silent.get(f"/api/cto/job/{job_id}/status")["resolutions"]
    assert recorded["tokens"] == 140_116_000_261_221
