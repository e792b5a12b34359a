"""JSON-RPC to Solana nodes: one client per provider, and calls to several providers.

An error is of one of two kinds. Without an answer, the request may have been carried out or not. A refusal is
the node's own answer. Addresses of providers contain keys, so errors name only their hosts.
"""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests

from cto_worker.errors import MarketError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 5.0
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500
# Errors of a node that cannot answer now: unhealthy, its history lacks the slot, behind `minContextSlot`.
_NOT_NOW = frozenset({-32005, -32004, -32007, -32009, -32014, -32016})


class NoAnswerError(MarketError):
    """A provider did not answer, or cannot now. A request that sends may have been carried out or not."""


class ProviderBusyError(NoAnswerError):
    """A provider refused a request because of its rate limit. The request had no effect."""


class RefusedError(MarketError):
    """A node answered with an error. ``code`` and ``data`` are those of JSON-RPC."""

    def __init__(self, host: str, method: str, code: int, message: str, data: Any) -> None:
        super().__init__(f"{host} refused {method}: {message} ({code})")
        self.code, self.message, self.data = code, message, data


class Sessions(threading.local):
    """An HTTP session for each thread, because a session is not thread-safe."""

    def __init__(self) -> None:
        self.current = requests.Session()
        self.current.trust_env = False  # no proxy and no .netrc for requests that move money


class Provider:
    """One provider. Thread-safe: each thread has connections of its own."""

    def __init__(
        self,
        url: str,
        *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> None:
        self.host = urlsplit(url).netloc.rpartition("@")[2]
        self._url = url
        self._timeouts_s = (connect_timeout_s, answer_timeout_s)
        self._numbers = itertools.count(1)
        self._sessions = Sessions()

    def call(self, method: str, *params: Any) -> Any:
        """Return the result of a method. Raises :class:`NoAnswerError` or :class:`RefusedError`."""
        number = next(self._numbers)
        call: dict[str, Any] = {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}
        try:
            response = self._sessions.current.post(self._url, json=call, timeout=self._timeouts_s)
        except requests.RequestException as error:
            # The text of the error contains the address, which contains a key.
            raise NoAnswerError(f"{self.host} did not answer {method}: {type(error).__name__}") from None
        return self._result(method, number, response)

    def _result(self, method: str, number: int, response: requests.Response) -> Any:
        if response.status_code == _TOO_MANY_REQUESTS:
            raise ProviderBusyError(f"{self.host} refused {method}: its rate limit is reached")
        try:
            document = response.json()
        except ValueError:
            document = None
        if not isinstance(document, dict) or document.get("id") != number:
            raise NoAnswerError(
                f"{self.host} answered {method} with status {response.status_code} and no JSON-RPC document"
            )
        if error := document.get("error"):
            raise self._refusal(method, error)
        if response.status_code >= _SERVER_ERROR or "result" not in document:
            raise NoAnswerError(
                f"{self.host} answered {method} with status {response.status_code}, no result"
            )
        return document["result"]

    def _refusal(self, method: str, error: Any) -> MarketError:
        error = error if isinstance(error, dict) else {}
        code, message = error.get("code"), str(error.get("message", ""))
        if not isinstance(code, int):
            return NoAnswerError(f"{self.host} answered {method} with a malformed error")
        if code in _NOT_NOW:
            return NoAnswerError(f"{self.host} cannot answer {method} now: {message} ({code})")
        return RefusedError(self.host, method, code, message, error.get("data"))


class Providers:
    """Several independent providers of one cluster."""

    def __init__(self, providers: Sequence[Provider]) -> None:
        if not providers:
            raise ValueError("there must be a provider")
        self._providers = tuple(providers)
        self._first = 0  # the provider that answered last; a race between threads is harmless

    def __len__(self) -> int:
        return len(self._providers)

    def read(self, method: str, *params: Any) -> Any:
        """Return the result of the first provider that answers, beginning with the one that did last.

        Raises :class:`RefusedError`, or the last :class:`NoAnswerError` if no provider answers.
        """
        first, count = self._first, len(self._providers)
        for index in (first + offset for offset in range(count - 1)):
            try:
                return self._providers[index % count].call(method, *params)
            except NoAnswerError:
                self._first = (index + 1) % count
        return self._providers[(first - 1) % count].call(method, *params)

    def send(self, method: str, *params: Any) -> Any:
        """Call every provider, so that one that drops sends does not matter. Returns the first result.

        Raises the error of the first provider that refused if none accepted, else :class:`NoAnswerError`.
        """
        results, errors = self._all(lambda provider: provider.call(method, *params))
        if results:
            return results[0]
        raise next((error for error in errors if isinstance(error, RefusedError)), errors[0])

    def ask_each(self, question: Callable[[Provider], Any]) -> list[Any]:
        """Return the answers of the providers to a question. One that fails is missing."""
        return self._all(question)[0]

    def _all(self, question: Callable[[Provider], Any]) -> tuple[list[Any], list[MarketError]]:
        results: list[Any] = []
        errors: list[MarketError] = []
        for provider in self._providers:
            try:
                results.append(question(provider))
            except MarketError as error:
                errors.append(error)
        return results, errors
