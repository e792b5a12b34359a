"""The generated tables in the documents are up to date, and each of them is in a document."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from api.spec.reference_tables import tables, updated
from cto_worker.config import Settings

PAGES = {page.name: page.read_text() for page in (Path(__file__).parents[3] / "docs").glob("**/*.md")}


def test_every_generated_table_is_up_to_date():
    for name, page in PAGES.items():
        assert updated(page) == page, f"{name}: run make tables"


def test_every_generated_table_is_in_a_document():
    marks = [mark for page in PAGES.values() for mark in re.findall(r"<!-- generated: (.+?) -->", page)]
    assert set(marks) == {*tables(), "commands"}, "api.cli.command_reference generates the commands"


def test_the_page_of_settings_has_a_row_for_each_setting():
    rows = re.findall(r"^\| `CTO_(\w+)` \|", PAGES["settings.md"], re.MULTILINE)
    assert sorted(rows) == sorted(field.name.upper() for field in fields(Settings))
