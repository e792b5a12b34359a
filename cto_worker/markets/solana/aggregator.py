"""The client of the aggregator: ``GET /build`` of Jupiter's Swap API V2.

Source: https://dev.jup.ag/docs/swap/v2/build. A request moves no money.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests

from cto_worker.errors import OrderRejectedError
from cto_worker.markets.solana.rpc_client import (
    ANSWER_TIMEOUT_S,
    CONNECT_TIMEOUT_S,
    NoAnswerError,
    Sessions,
)
from cto_worker.markets.solana.swap_offer import SwapOffer, offer_of
from cto_worker.markets.solana.token_program import WRAPPED_SOL

_BAD_REQUEST, _NOT_FOUND = 400, 404
_CODES = {
    "TOKEN_NOT_TRADABLE": "token_not_tradable",
    "NO_ROUTES_FOUND": "token_not_tradable",
    "COULD_NOT_FIND_ANY_ROUTE": "token_not_tradable",
}
_NOT_NOW = frozenset({"TOO_MANY_QUOTES"})
_MAX_BPS = 10_000


class Aggregator:
    """The aggregator at an address. Thread-safe: each thread has connections of its own."""

    def __init__(self, url: str, key: str = "") -> None:
        self.host = urlsplit(url).netloc.rpartition("@")[2]
        self._url = f"{url.rstrip('/')}/build"
        self._headers = {"x-api-key": key} if key else {}
        self._sessions = Sessions()

    def offer(self, mint: str, lamports: int, taker: str, slippage_bps: int) -> SwapOffer:
        """Return an offer to buy a token, whose limit is not below the quote minus ``slippage_bps``.

        Raises :class:`NoAnswerError`, or :class:`OrderRejectedError` if there is no route or another offer.
        """
        query = {
            "inputMint": str(WRAPPED_SOL),
            "outputMint": mint,
            "amount": str(lamports),
            "taker": taker,
            "slippageBps": str(slippage_bps),
        }
        offer = offer_of(self._get(query))
        least = offer.tokens * (_MAX_BPS - slippage_bps) // _MAX_BPS
        if (offer.mint, offer.lamports) != (mint, lamports) or offer.minimum < least:
            raise OrderRejectedError(
                "swap_refused",
                f"{self.host} offers {offer.minimum} or more base units of {offer.mint} for {offer.lamports} "
                f"lamports instead of {least} of {mint} for {lamports}",
            )
        return offer

    def _get(self, query: dict[str, str]) -> Any:
        try:
            response = self._sessions.current.get(
                self._url,
                params=query,
                headers=self._headers,
                timeout=(CONNECT_TIMEOUT_S, ANSWER_TIMEOUT_S),
            )
        except requests.RequestException as error:
            raise NoAnswerError(f"{self.host} did not answer: {type(error).__name__}") from None
        try:
            document = response.json()
        except ValueError:
            document = None
        if response.ok and isinstance(document, dict):
            return document
        raise self._refusal(response.status_code, document if isinstance(document, dict) else {})

    def _refusal(self, status: int, document: dict[str, Any]) -> NoAnswerError | OrderRejectedError:
        code, text = str(document.get("errorCode", "")), str(document.get("error", ""))[:200]
        message = f"{self.host} made no offer: status {status} {code} {text}".rstrip()
        if code in _CODES:
            return OrderRejectedError(_CODES[code], message)
        if status in {_BAD_REQUEST, _NOT_FOUND} and code not in _NOT_NOW:
            return OrderRejectedError("swap_unavailable", message)
        return NoAnswerError(message)
