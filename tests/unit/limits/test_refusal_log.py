"""Log lines that anybody's requests can cause: counted by address, and limited for each place in the code."""

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
def said(caplog):
    caplog.set_level(logging.INFO)
    return lambda: caplog.messages


def test_a_refusal_is_logged_once_with_its_count(said):
    translate_script_errors = RefusalLog()
    for _ in range(1_200):
        translate_script_errors.note("refused a client", "192.0.2.7", "unauthorized")
    translate_script_errors.note("refused a request", "2001:db8::1", "token_expired")
    assert said() == []
    translate_script_errors.flush()
    assert said() == [
        "refused a client from 192.0.2.7: unauthorized (1,200 times)",
        "refused a request from 2001:db8::1: token_expired",
    ]
    translate_script_errors.flush()
    assert len(said()) == 2


def test_many_addresses_are_few_lines(said):
    translate_script_errors = RefusalLog()
    for number in range(3 * MAX_KEYS):
        translate_script_errors.note("refused a client", f"2001:db8::{number:x}", "unauthorized")
    for _ in range(10):
        translate_script_errors.note("refused a client", "2001:db8::5", "unauthorized")
    translate_script_errors.flush()
    assert len(said()) == MAX_LINES + 1
    assert said()[0] == "refused a client from 2001:db8::5: unauthorized (11 times)"
    assert (
        said()[-1]
        == f"refused {3 * MAX_KEYS - MAX_LINES:,} more, from {MAX_KEYS - MAX_LINES:,} addresses or more"
    )


@pytest.mark.parametrize("address", [None, "", "192.0.2.7\n[info] accepted", "x" * 65])
def test_what_is_no_address_is_not_logged_as_one(said, address):
    translate_script_errors = RefusalLog()
    translate_script_errors.note("refused a client", address, "unauthorized")
    translate_script_errors.flush()
    assert said() == ["refused a client from an unknown address: unauthorized"]


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


def test_one_place_in_the_code_writes_few_warnings_and_then_how_many_were_left_out(limited, monkeypatch):
    logger, written = limited
    for number in range(1_000):
        if number == 999:
            monkeypatch.setattr("api.limits.token_bucket.time.monotonic", lambda: 10**9)
        logger.warning("no packet of %s", number)
    assert len(written) == LINES_AT_ONCE + 1
    assert written[-1] == f"no packet of 999 ({999 - LINES_AT_ONCE} lines like this one were left out)"


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
