"""Answers requests: checks the policy, counts the spending, and signs."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from cto_worker.errors import SignerRefusedError
from cto_worker.signer import policy
from cto_worker.signer.database import transaction
from cto_worker.signer.keystore import addresses
from cto_worker.signer.protocol import (
    MAX_MESSAGES,
    Addresses,
    AddressesRequest,
    Failure,
    OpenWalletsRequest,
    Refusal,
    Signature,
    Signatures,
    SignRequest,
)

if TYPE_CHECKING:
    import sqlite3

    from cto_worker.signer.keystore import Keystore
    from cto_worker.signer.protocol import Request, Response, Unsigned
    from cto_worker.signer.spending_limits import SpendingLimits

_log = logging.getLogger(__name__)


class SigningService:
    """Answers requests, one at a time, in any thread."""

    def __init__(
        self,
        database: sqlite3.Connection,
        keystore: Keystore,
        limits: SpendingLimits,
        payees: frozenset[str],
    ) -> None:
        self._database = database
        self._keystore = keystore
        self._limits = limits
        self._payees = payees
        self._lock = threading.Lock()

    def respond(self, request: Request) -> Response:
        """Return the response to a request. Defects are logged, and never raised."""
        try:
            with self._lock:
                return self._respond(request)
        except SignerRefusedError as error:
            return Refusal(error.code, str(error))
        except Exception:  # noqa: BLE001 - the client needs a response
            _log.exception("a request failed")
            return Failure("the signer failed: its log has the reason")

    def _respond(self, request: Request) -> Response:
        match request:
            case SignRequest(user_id, messages) if len(messages) <= MAX_MESSAGES:
                return self._sign_all(user_id, messages)
            case SignRequest(_, messages):
                return Failure(f"{len(messages)} messages in one request: send at most {MAX_MESSAGES}")
            case AddressesRequest(user_id):
                return Addresses(addresses(self._database, user_id))
            case OpenWalletsRequest(user_id, count):
                return Addresses(self._keystore.open_wallets(user_id, count))

    def _sign_all(self, user_id: str, messages: list[Unsigned]) -> Signatures:
        with transaction(self._database):  # one, because each waits for the disk
            results = [self._sign(user_id, each) for each in messages]
        return Signatures(results)  # the spendings are on disk

    def _sign(self, user_id: str, unsigned: Unsigned) -> Signature | Refusal:
        wallet, message = unsigned.wallet, unsigned.message
        try:
            secret_key = self._keystore.secret_key(user_id, wallet)
            lamports = policy.check(
                message, wallet, lambda address: self._keystore.owns(user_id, address), self._payees
            )
            self._limits.charge(user_id, message, lamports)
        except SignerRefusedError as error:
            _log.warning("refused for user %s, wallet %s: %s (%s)", user_id, wallet, error, error.code)
            return Refusal(error.code, str(error))
        _log.info("signed for user %s, wallet %s: up to %d lamports", user_id, wallet, lamports)
        return Signature(secret_key.sign(message))
