"""The console, as a test uses it."""

from __future__ import annotations

from playwright.sync_api import expect

FITS = "document.documentElement.scrollWidth <= innerWidth"
WIDTHS = (320, 480, 768, 1_024, 1_280, 1_920)
# The containers whose element ends outside of them.
CUT = """([container, element]) => [...document.querySelectorAll(container)].filter((each) => {
    const right = each.querySelector(element)?.getBoundingClientRect().right ?? 0;
    return right > Math.ceil(each.getBoundingClientRect().right);
}).map((each) => each.outerHTML)"""


def open_console(page, system, path="/"):
    """Open an address of the console, and wait for its live connection."""
    page.goto(system.url + path)
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    return page


def cut_at_any_width(page, container, element):
    """Return the containers that are too narrow for their element, by the width of the page."""
    found = {}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        cut = page.evaluate(CUT, [container, element])
        if cut or not page.evaluate(FITS):
            found[width] = cut
    return found


def row(page, job_id):
    """Return an operation's row in the list."""
    return page.locator(f"[data-job='{job_id}']")


def wallets(page):
    """Return the rows of the wallets of an operation."""
    return page.locator(".waterfall tbody tr")


def fill_in(page, **fields):
    """Fill in fields of the start dialog."""
    for name, value in fields.items():
        page.locator(f"dialog [name={name}]").fill(str(value))


def start(page, user, *, mode="prefunded", count=3, **fields):
    """Start an operation in the dialog. The page then shows it."""
    page.get_by_role("button", name="Start operation").first.click()
    page.get_by_role("button", name="Random").click()
    page.locator("dialog [name=mode]").select_option(mode)
    fill_in(page, userId=user, walletCount=count, buyAmount=0.02 * count, **fields)
    page.get_by_role("dialog").get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url("**/operations/*")
    return page.url.rpartition("/")[2]


def with_outcomes(system, user, *wanted, **changes):
    """Run operations until each of these outcomes occurred. Returns one status response for each."""
    found = {}
    for _ in range(60):
        status = system.ended(system.submit(userId=user, **changes))
        found.setdefault(status["outcome"], status)
        if found.keys() >= set(wanted):
            return [found[outcome] for outcome in wanted]
    raise AssertionError(f"60 operations had only the outcomes {sorted(found)}")
