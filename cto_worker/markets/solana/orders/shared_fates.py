"""Queries of the fates of orders, shared by all operations of this process.

Providers limit the requests per second. A query of each operation for its own orders would multiply them by
the number of operations; one call takes the signatures of 256 orders.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cto_worker.markets.solana.chain_reader import ChainReader
    from cto_worker.markets.solana.landing_rule import Fate, SentOrder

INTERVAL_S = 0.25  # between the starts of two queries


@dataclass(slots=True)
class _Query:
    """The next query, or the one in progress."""

    orders: dict[str, SentOrder] = field(default_factory=dict)  # by signature
    fates: Future[Mapping[str, Fate]] = field(default_factory=Future)


class SharedFates:
    """Queries the fates of orders. Thread-safe: the first thread of each query asks for all others, too."""

    def __init__(self, reader: ChainReader, interval_s: float = INTERVAL_S) -> None:
        self._reader = reader
        self._interval_s = interval_s
        self._next = _Query()
        self._joining = threading.Lock()  # of the next query
        self._asking = threading.Lock()  # held during a query
        self._begun_s = -interval_s

    def fates(self, orders: Sequence[SentOrder]) -> Mapping[str, Fate]:
        """Return the fates of these orders, and of others, by signature.

        The query begins after this call, so its answers are never older than the call. See
        :meth:`~cto_worker.markets.solana.chain_reader.ChainReader.fates`.
        """
        if not orders:
            return {}
        with self._joining:
            query = self._next
            first = not query.orders
            query.orders.update({order.signature: order for order in orders})
        if first:
            self._ask(query)
        return query.fates.result()

    def _ask(self, query: _Query) -> None:
        with self._asking:
            time.sleep(max(0.0, self._begun_s + self._interval_s - time.monotonic()))
            with self._joining:  # from here on, threads join the query after this one
                self._next = _Query()
            self._begun_s = time.monotonic()
            try:
                query.fates.set_result(self._reader.fates([*query.orders.values()]))
            except BaseException as error:  # noqa: BLE001 - raised in each thread
                query.fates.set_exception(error)
