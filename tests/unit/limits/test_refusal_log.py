"""Refusals in the log: counted by address and reason."""

from __future__ import annotations

import logging

import pytest

from api.limits.refusal_log import MAX_KEYS, MAX_LINES, RefusalLog


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
