"""Orders of one user on the paper market."""

from __future__ import annotations

from cto_worker.domain.lamports import LAMPORTS_PER_SOL as SOL
from cto_worker.domain.market_port import Buy, Order, Transfer
from cto_worker.markets.paper import ledger
from cto_worker.markets.paper.market import address
from support.samples import MINT
from support.threads import in_threads


def buy(number=1, wallet=1, lamports=SOL, **changes):
    fields = {
        "intent_id": f"j:{number}",
        "user_id": "7",
        "wallet": address(changes.get("user_id", "7"), wallet),
        "token_address": MINT,
        "lamports": lamports,
        "slippage_bps": 500,
        "priority_fee_lamports": 1_000,
    }
    return Buy(**(fields | changes))


def transfer(number=1, lamports=SOL, wallet=1):
    return Transfer(f"t:{number}", "7", address("7", 0), address("7", wallet), lamports)


def prepare(market, intent):
    (answer,) = market.prepare([intent])
    return answer


def outcome_of(market, order):
    """Return the outcome of an order; ``None`` if the market knows none."""
    return market.outcomes([order], wait_s=0.1).get(order.intent_id)


def execute(market, intent):
    order = prepare(market, intent)
    assert isinstance(order, Order), order
    market.submit([order])
    return outcome_of(market, order)


def balanced(store):
    return ledger.audit(store).discrepancies == ()


def trade_in_threads(store, trade, kinds):
    """Call ``trade(thread)`` in eight threads. Check that the books balance, with entries of these kinds."""
    in_threads(trade, range(8))
    audit = ledger.audit(store)
    assert audit.discrepancies == ()
    assert sum(audit.totals_lamports.values()) == 0
    assert {entry.kind for entry in ledger.entries(store)} >= kinds
