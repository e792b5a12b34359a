"""The first characters of an id, wherever the console takes an operation's id."""

from __future__ import annotations

import uuid

from browser.console_page import FITS, open_console, row, wallets, with_outcomes
from playwright.sync_api import expect
from support.samples import operation

from cto_worker.jobs.celery_app import celery_app


def test_the_first_characters_of_an_id_are_enough_in_addresses_and_in_comparisons(rough, page, user):
    one, other = (rough.submit(userId=user) for _ in range(2))
    for job_id in (one, other):
        rough.ended(job_id)
    open_console(page, rough, f"/operations/{one[:8]}?with={other[:8]}")
    page.wait_for_url(f"**/operations/{one}?with={other}")
    expect(page.locator(".run .badge")).to_have_count(2)
    page.get_by_role("button", name="Close comparison").click()
    page.get_by_role("button", name="Compare").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("00000000-0")
    dialog.get_by_role("button", name="Compare").click()
    expect(dialog.get_by_role("alert")).to_contain_text("No operation has the id 00000000-0")
    dialog.get_by_role("textbox").fill(other[:8])
    dialog.get_by_role("button", name="Compare").click()
    page.wait_for_url(f"**/operations/{one}?with={other}")


def test_a_review_is_found_by_the_first_characters_of_its_id(rough, page, troubles, user):
    troubles.expect("404")
    (unknown,) = with_outcomes(rough, user, "unknown", walletCount=6)
    open_console(page, rough, f"/review?userId={user}#{unknown['jobId'][:8]}")
    page.wait_for_url(f"**/review?userId={user}#{unknown['jobId']}")
    review = page.locator(".review").first
    expect(review).to_have_attribute("aria-current", "true")
    expect(review.locator(f"a[href='/operations/{unknown['jobId']}']").first).to_be_visible()
    page.goto(f"{rough.url}/review#00000000-0")
    expect(page.get_by_text("No operation has the id 00000000-0")).to_be_visible()


def test_one_of_several_operations_is_chosen(system, page, user, axe, screenshot):
    first = f"abcd{uuid.uuid4().hex[:6]}"
    job_ids = [f"{first}-{number}" for number in (1, 2)]
    body = operation(userId=user, walletCount=2, buyAmount=0.02)
    with celery_app(system.settings) as celery:
        for job_id in job_ids:
            celery.send_task("cto_worker.run_operation", args=[body], queue="cto", task_id=job_id)
    open_console(page, system, f"/?userId={user}")
    for job_id in job_ids:
        expect(row(page, job_id).locator(".badge")).to_have_text("completed")
    open_console(page, system, f"/operations/{first}")
    expect(page.get_by_text(f"2 operations begin with {first}: choose one")).to_be_visible()
    assert axe(page) == []
    for width in (320, 1_280):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(FITS)
        screenshot(page, f"several-ids-{width}")
    page.get_by_role("button", name=job_ids[1]).click()
    page.wait_for_url(f"**/operations/{job_ids[1]}")
    expect(wallets(page)).to_have_count(2)
    page.get_by_role("button", name="Compare").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill(first)
    dialog.get_by_role("button", name="Compare").click()
    expect(dialog.get_by_role("alert")).to_contain_text("2 operations begin with")
    dialog.get_by_role("button", name=job_ids[0]).click()
    page.wait_for_url(f"**/operations/{job_ids[1]}?with={job_ids[0]}")
