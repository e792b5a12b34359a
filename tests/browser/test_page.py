"""The pages that the gateway serves, as a browser finds them."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("path", ["/", "/docs"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_keeps_to_its_policy_and_can_be_used_by_anybody(system, page, axe, screenshot, path, scheme):
    page.emulate_media(color_scheme=scheme)
    page.goto(system.url + path, wait_until="networkidle")
    assert page.title()
    assert axe(page) == []
    screenshot(page, f"{path.strip('/') or 'page'}-{scheme}")
