"""The gateway's pages: content security policy and accessibility."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("path", ["/", "/docs"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_complies_with_its_policy_and_is_accessible(system, page, axe, screenshot, path, scheme):
    page.emulate_media(color_scheme=scheme)
    page.goto(system.url + path, wait_until="networkidle")
    assert page.title()
    assert axe(page) == []
    screenshot(page, f"{path.strip('/') or 'page'}-{scheme}")
