"""The signer's limits per order and per day."""

from __future__ import annotations

import pytest

from cto_worker.errors import SignerRefusedError
from cto_worker.signer import database
from cto_worker.signer.database import transaction
from cto_worker.signer.spending_limits import DAY_MS, Limits, SpendingLimits

LIMITS = Limits(order_lamports=600, daily_lamports=1_000)
DAY_S = DAY_MS / 1_000


class Clock:
    def __init__(self):
        self.now_s = 1_000_000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


def charge(connection, clock, message, lamports, user_id="7"):
    """Return the code of the refusal, or an empty text."""
    try:
        with transaction(connection):
            SpendingLimits(connection, LIMITS, clock).charge(user_id, message, lamports)
    except SignerRefusedError as error:
        return error.code
    return ""


def test_an_order_has_a_limit(connection, clock):
    assert charge(connection, clock, b"1", 601) == "order_limit_exceeded"
    assert charge(connection, clock, b"1", 600) == ""


def test_a_day_has_a_limit_for_each_user(connection, clock):
    assert [charge(connection, clock, message, 400) for message in (b"1", b"2", b"3")] == [
        "",
        "",
        "daily_limit_exceeded",
    ]
    assert charge(connection, clock, b"4", 200) == ""
    assert charge(connection, clock, b"5", 1) == "daily_limit_exceeded"
    assert charge(connection, clock, b"6", 600, user_id="8") == ""


def test_the_same_bytes_count_once(connection, clock):
    assert {charge(connection, clock, b"1", 600) for _ in range(3)} == {""}
    assert charge(connection, clock, b"2", 400) == ""
    assert charge(connection, clock, b"1", 600) == ""


def test_a_message_counts_for_24_hours_whatever_the_clock_does(connection, clock):
    charge(connection, clock, b"1", 600)
    clock.now_s += DAY_S - 1
    assert charge(connection, clock, b"2", 600) == "daily_limit_exceeded"
    clock.now_s -= 10 * DAY_S
    assert charge(connection, clock, b"2", 600) == "daily_limit_exceeded"
    clock.now_s += 10 * DAY_S + 1
    assert charge(connection, clock, b"2", 600) == ""


def test_the_limits_count_over_a_restart(tmp_path, clock):
    codes = []
    for message in (b"1", b"2"):
        with database.opened(tmp_path / "signer") as connection:
            codes.append(charge(connection, clock, message, 600))
    assert codes == ["", "daily_limit_exceeded"]
