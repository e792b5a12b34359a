"""Log lines that any client can cause: counted by address, and limited for each place in the code."""

from __future__ import annotations

import logging

import pytest

from api.limits.refusal_log import (
    LINES_AT_ONCE,
    MAX_KEYS,
    MAX_LINES,
    TRACEBACKS_AT_ONCE,
    RefusalLog,
    RepeatFilter,
)


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO)
    return lambda: caplog.messages


def test_a_refusal_is_logged_once_with_its_count(lines):
    refusals = RefusalLog()
    for _ in range(1_200):
        refusals.note("refused a client", "192.0.2.7", "unauthorized")
    refusals.note("refused a request", "2001:db8::1", "token_expired")
    assert lines() == []
    refusals.flush()
    assert lines() == [
        "refused a client from 192.0.2.7: unauthorized (1,200 times)",
        "refused a request from 2001:db8::1: token_expired",
    ]
    refusals.flush()
    assert len(lines()) == 2


def test_many_addresses_are_few_lines(lines):
    refusals = RefusalLog()
    for number in range(3 * MAX_KEYS):
        refusals.note("refused a client", f"2001:db8::{number:x}", "unauthorized")
    for _ in range(10):
        refusals.note("refused a client", "2001:db8::5", "unauthorized")
    refusals.flush()
    assert len(lines()) == MAX_LINES + 1
    assert lines()[0] == "refused a client from 2001:db8::5: unauthorized (11 times)"
    assert (
        lines()[-1]
        == f"refused {3 * MAX_KEYS - MAX_LINES:,} more, from at least {MAX_KEYS - MAX_LINES:,} addresses"
    )


@pytest.mark.parametrize("address", [None, "", "192.0.2.7\n[info] accepted", "x" * 65])
def test_text_that_is_not_an_address_is_not_logged(lines, address):
    refusals = RefusalLog()
    refusals.note("refused a client", address, "unauthorized")
    refusals.flush()
    assert lines() == ["refused a client from an unknown address: unauthorized"]


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
