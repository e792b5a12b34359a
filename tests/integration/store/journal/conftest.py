"""A test gets the journal in the store, and then the one in memory: both fulfil the same contract."""

from __future__ import annotations

import pytest
from support.journals import FIRST, SECOND, Real, Twin

from cto_worker.domain.journal_ports import Entry


@pytest.fixture(params=["real", "twin"])
def book(request):
    if request.param == "twin":
        return Twin()
    return Real(request.getfixturevalue("store"))


@pytest.fixture
def journal(book):
    return book.journal


@pytest.fixture
def started(journal):
    """The journal with a job that its first run has started."""
    journal.create(FIRST, {"a": 1})
    journal.claim("j1", "me")
    journal.append(Entry(SECOND))
    return journal
