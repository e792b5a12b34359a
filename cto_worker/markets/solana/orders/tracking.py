"""Sends orders, sends them again while they may still execute, and reports their outcomes by receipts."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from solders.signature import Signature
from solders.transaction import VersionedTransaction

from cto_worker.domain.market_port import Order, Outcome, OutcomeStatus
from cto_worker.errors import MarketError
from cto_worker.markets.solana.landing_rule import Fate, SentOrder
from cto_worker.markets.solana.orders.shared_fates import SharedFates
from cto_worker.markets.solana.receipts import Receipt, receipt_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from concurrent.futures import Executor

    from cto_worker.markets.solana.chain_reader import ChainReader

POLL_S = 0.25
AGAIN_S = 2.0  # after which a pending order is sent again: a leader may have dropped it
_MAX_REMEMBERED = 10_000  # times of sends, of orders whose outcome nobody has asked for


class OrderTracking:
    """Sends orders, and reports their outcomes. Thread-safe."""

    def __init__(self, reader: ChainReader, executor: Executor) -> None:
        self._reader = reader
        self._fates = SharedFates(reader)
        self._executor = executor
        self._sent_s: dict[str, float] = {}  # time of the latest send by signature
        self._lock = threading.Lock()

    def submit(self, orders: Sequence[Order]) -> None:
        """See :meth:`cto_worker.domain.market_port.Market.submit`.

        Without preflight: a node that lags must not hold back an order that is on disk already.
        """
        errors = [error for error in self._executor.map(self._send, orders) if error]
        if errors:
            raise errors[0]

    def outcomes(self, orders: Sequence[Order], *, wait_s: float) -> dict[str, Outcome]:
        """See :meth:`cto_worker.domain.market_port.Market.outcomes`."""
        until_s = time.monotonic() + wait_s
        while True:
            known = self._known(orders)
            left_s = until_s - time.monotonic()
            if known or left_s <= 0:
                self._forget(orders, known)
                return known
            self._send_again(orders)
            time.sleep(min(POLL_S, left_s))

    def _send(self, order: Order) -> MarketError | None:
        with self._lock:
            self._sent_s[order.signature] = time.monotonic()
            while len(self._sent_s) > _MAX_REMEMBERED:
                self._sent_s.pop(next(iter(self._sent_s)))
        try:
            self._reader.send(order.payload, preflight=False)
        except MarketError as error:
            return error
        return None

    def _send_again(self, orders: Iterable[Order]) -> None:
        """Send pending orders of this process again. Errors do not matter: the next query decides."""
        before_s = time.monotonic() - AGAIN_S
        with self._lock:
            due = [order for order in orders if self._sent_s.get(order.signature, before_s + 1) <= before_s]
        list(self._executor.map(self._send, due))

    def _forget(self, orders: Iterable[Order], known: dict[str, Outcome]) -> None:
        with self._lock:
            for order in orders:
                if order.intent_id in known:
                    self._sent_s.pop(order.signature, None)

    def _known(self, orders: Sequence[Order]) -> dict[str, Outcome]:
        """Return the outcomes that are certain now, in the order of execution. Expired orders come last."""
        fates = self._fates.fates([_sent(order) for order in orders])
        executed = [order for order in orders if fates[order.signature] in {Fate.LANDED, Fate.FAILED}]
        receipts = zip(executed, self._executor.map(self._receipt, executed), strict=True)
        landed = [(order, receipt) for order, receipt in receipts if receipt]
        landed.sort(key=lambda pair: pair[1].slot)
        known = {order.intent_id: _outcome(order, receipt) for order, receipt in landed}
        for order in orders:
            if fates[order.signature] is Fate.EXPIRED:
                known[order.intent_id] = Outcome(OutcomeStatus.EXPIRED, order.signature)
        return known

    def _receipt(self, order: Order) -> Receipt | None:
        """Return the receipt of an order; ``None`` if no provider has it yet."""
        with suppress(MarketError):
            document = self._reader.transaction(order.signature)
            return receipt_of(document) if document else None
        return None


def _context(order: Order) -> dict[str, Any]:
    try:
        context: dict[str, Any] = json.loads(order.context)
        return {name: context[name] for name in ("genesis", "slot", "mint")}
    except (KeyError, TypeError, ValueError) as error:
        raise MarketError(
            f"order {order.signature} has the context {order.context!r}, which is not of this market"
        ) from error


def _sent(order: Order) -> SentOrder:
    """Return the facts about an order. A malformed signature would make the query of others fail."""
    context = _context(order)
    try:
        Signature.from_string(order.signature)
    except ValueError as error:
        raise MarketError(f"order {order.signature} has no signature of this market: {error}") from error
    return SentOrder(order.signature, order.expires, context["slot"], context["genesis"])


def _outcome(order: Order, receipt: Receipt) -> Outcome:
    """Return the outcome of an executed order, from its balances before and after."""
    if receipt.error_code:
        error = f"the transaction failed on the chain: {json.dumps(receipt.error)}"
        return Outcome(
            OutcomeStatus.FAILED, order.signature, receipt.fee, error_code=receipt.error_code, error=error
        )
    mint = _context(order)["mint"]
    if not mint:
        return Outcome(OutcomeStatus.CONFIRMED, order.signature, receipt.fee)
    wallet = str(VersionedTransaction.from_bytes(order.payload).message.account_keys[0])
    return Outcome(
        OutcomeStatus.CONFIRMED,
        order.signature,
        -receipt.lamports[wallet],
        receipt.tokens.get((wallet, mint), 0),
    )
