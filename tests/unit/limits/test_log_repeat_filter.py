"""Repeated log lines: limited for each place in the code."""

from __future__ import annotations

import logging

import pytest

from api.limits.log_repeat_filter import LINES_AT_ONCE, TRACEBACKS_AT_ONCE, RepeatFilter


@pytest.fixture
def limited():
    """A logger whose lines are limited, and what it has written."""
    written = []
    handler = logging.Handler()
    handler.emit = lambda record: written.append(record.getMessage())
    handler.addFilter(RepeatFilter())
    logger = logging.getLogger("limited")
    logger.setLevel(logging.INFO)
    logger.handlers, logger.propagate = [handler], False
    return logger, written


def test_one_place_in_the_code_writes_few_warnings_and_then_how_many_were_omitted(limited, monkeypatch):
    logger, written = limited
    for number in range(1_000):
        if number == 999:
            monkeypatch.setattr("api.limits.token_bucket.time.monotonic", lambda: 10**9)
        logger.warning("no packet of %s", number)
    assert len(written) == LINES_AT_ONCE + 1
    assert written[-1] == f"no packet of 999 ({999 - LINES_AT_ONCE} similar lines were omitted)"


def test_other_places_and_lines_of_operations_are_not_limited(limited):
    logger, written = limited
    for _ in range(100):
        logger.warning("the same")
    logger.warning("from elsewhere")
    for _ in range(100):
        logger.info("accepted from user:7")
    assert len(written) == LINES_AT_ONCE + 1 + 100


def test_tracebacks_are_limited_more(limited):
    logger, written = limited
    for _ in range(100):
        logger.error("broke", exc_info=ValueError("why"))
    assert len(written) == TRACEBACKS_AT_ONCE
