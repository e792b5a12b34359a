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

from cto_worker.markets.solana.landing_rule import fate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cto_worker.markets.solana.chain_reader import ChainReader
    from cto_worker.markets.solana.landing_rule import Fate, NodeAnswer, SentOrder

INTERVAL_S = 0.25  # between the starts of two queries


@dataclass(slots=True)
class _Query:
    """The next query, or the one in progress."""

    signatures: dict[str, None] = field(default_factory=dict)  # in the order of the calls
    answers: Future[list[Mapping[str, NodeAnswer]]] = field(default_factory=Future)


class SharedFates:
    """Queries the fates of orders. Thread-safe: the first thread of each query asks for all others, too."""

    def __init__(self, reader: ChainReader, interval_s: float = INTERVAL_S) -> None:
        self._reader = reader
        self._interval_s = interval_s
        self._next = _Query()
        self._next_lock = threading.Lock()
        self._query_lock = threading.Lock()  # held during a query
        self._last_start_s = -interval_s

    def fates(self, orders: Sequence[SentOrder]) -> dict[str, Fate]:
        """Return the fate of each order, by signature.

        The query begins after this call, so its answers are never older than the call. Every provider is
        asked; one that does not answer leaves orders pending that have no status elsewhere.
        """
        if not orders:
            return {}
        with self._next_lock:
            query = self._next
            first = not query.signatures
            query.signatures.update((order.signature, None) for order in orders)
        if first:
            self._ask(query)
        answers = query.answers.result()
        return {
            order.signature: fate(
                order, [each[order.signature] for each in answers], providers=self._reader.provider_count
            )
            for order in orders
        }

    def _ask(self, query: _Query) -> None:
        try:
            with self._query_lock:
                time.sleep(max(0.0, self._last_start_s + self._interval_s - time.monotonic()))
                self._close(query)
                self._last_start_s = time.monotonic()
                query.answers.set_result(self._reader.answers([*query.signatures]))
        except BaseException as error:  # noqa: BLE001 - raised in each thread
            self._close(query)
            query.answers.set_exception(error)

    def _close(self, query: _Query) -> None:
        """Let further threads join the query after this one."""
        with self._next_lock:
            if self._next is query:
                self._next = _Query()
