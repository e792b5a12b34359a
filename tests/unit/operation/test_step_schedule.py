"""The schedule of steps: which may begin, the number of rounds, and the text for users."""

from __future__ import annotations

import pytest

from cto_worker.domain.buy_plan import Plan, Step
from cto_worker.domain.market_port import Buy, Outcome, OutcomeStatus, Transfer
from cto_worker.operation.step_schedule import description, next_steps, rounds
from cto_worker.operation.step_totals import Totals


def transfer(wallet):
    intent = Transfer(f"j:w{wallet}:transfer", "7", "funding", f"w{wallet}", 1)
    return Step(intent, f"w{wallet}", f"Distributing SOL to wallet {wallet} of 3")


def buy(wallet, number=1):
    intent = Buy(f"j:w{wallet}:buy.{number}", "7", f"w{wallet}", "mint", 1, 0, 0)
    return Step(intent, f"w{wallet}", f"Buying with wallet {wallet} of 3")


TRANSFERS = [transfer(1), transfer(2), transfer(3)]
BUYS = [buy(1), buy(2), buy(3)]
SPLIT = [buy(1, 1), buy(1, 2), buy(1, 3), buy(2, 1)]


@pytest.mark.parametrize(
    ("waiting", "in_flight", "limit", "expected"),
    [
        (TRANSFERS + BUYS, [], 10, TRANSFERS),
        (TRANSFERS + BUYS, [], 2, TRANSFERS[:2]),
        (BUYS, TRANSFERS[1:], 10, [buy(1)]),
        ([transfer(3), *BUYS], [transfer(2)], 10, [transfer(3), buy(1)]),
        (BUYS, TRANSFERS[1:], 2, []),
        (BUYS, TRANSFERS, 10, []),
        (SPLIT, [], 10, [buy(1, 1), buy(2, 1)]),
        (SPLIT[1:], [buy(1, 1)], 10, [buy(2, 1)]),
        (BUYS, TRANSFERS, 1, []),
        (BUYS, [], 1, [buy(1)]),
        ([], [buy(1)], 10, []),
    ],
    ids=[
        "each transfer before its wallet's buy",
        "no more than the limit",
        "a buy follows its own transfer, not all transfers",
        "transfers and buys at the same time",
        "orders in flight count",
        "each wallet waits for its transfer",
        "one order of each wallet",
        "the next order of a wallet waits for the one before",
        "more in flight than the limit, after a takeover",
        "one at a time",
        "nothing waits",
    ],
)
def test_the_steps_that_may_begin(waiting, in_flight, limit, expected):
    assert next_steps(waiting, in_flight, limit) == expected


@pytest.mark.parametrize(
    ("steps", "limit", "expected"),
    [
        ([], 10, 0),
        (TRANSFERS + BUYS, 10, 2),
        (TRANSFERS + BUYS, 3, 2),
        (TRANSFERS + BUYS, 2, 4),
        (TRANSFERS + BUYS, 1, 6),
        (BUYS, 10, 1),
        (TRANSFERS, 10, 1),
        (SPLIT, 10, 3),
        (SPLIT, 1, 4),
    ],
)
def test_the_number_of_rounds(steps, limit, expected):
    assert rounds(steps, limit) == expected


def totals(*ended):
    outcome = Outcome(OutcomeStatus.CONFIRMED, "signature")
    return Totals(Plan(TRANSFERS + BUYS, {}), [(step, outcome) for step in ended])


@pytest.mark.parametrize(
    ("active", "ended", "text"),
    [
        ([buy(2)], BUYS[:1], "Buying with wallet 2 of 3"),
        ([transfer(2)], [], "Distributing SOL to wallet 2 of 3"),
        (TRANSFERS, [], "Distributing SOL to 3 wallets, 0 of 3 done"),
        (BUYS[1:], [*TRANSFERS, BUYS[0]], "Buying with 2 wallets, 1 of 3 done"),
        (
            [transfer(3), buy(1), buy(2)],
            TRANSFERS[:2],
            "Distributing SOL to 1 wallet, 2 of 3 done; Buying with 2 wallets, 0 of 3 done",
        ),
    ],
)
def test_the_description_counts_the_active_steps_and_those_that_have_ended(active, ended, text):
    assert description(active, totals(*ended)) == text
