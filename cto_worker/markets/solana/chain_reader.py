"""Questions to Solana nodes whose answers decide about money, as types."""

from __future__ import annotations

import base64
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cto_worker.markets.solana.landing_rule import Level, NodeAnswer, Status
from cto_worker.markets.solana.rpc_client import NoAnswerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cto_worker.markets.solana.rpc_client import Provider, Providers

_MAX_SIGNATURES = 256
_MAX_ACCOUNTS = 100
_CONFIRMED = {"commitment": "confirmed"}
_ENCODED = {"encoding": "base64"}
_UNKNOWN_BLOCKHASH = "BlockhashNotFound"


@dataclass(frozen=True, slots=True)
class Blockhash:
    """A blockhash, and what an order must remember about it."""

    blockhash: str
    last_valid_block_height: int
    slot: int


@dataclass(frozen=True, slots=True)
class AccountState:
    """An account. ``owner`` is the program that may change it."""

    owner: str
    lamports: int
    data: bytes


class ChainReader:
    """One cluster, asked through its providers."""

    def __init__(self, providers: Providers) -> None:
        self._providers = providers

    @property
    def provider_count(self) -> int:
        """The number of providers, whether they answer or not."""
        return len(self._providers)

    def genesis_hashes(self) -> list[str]:
        """Return the identity that each provider reports. One that does not answer is missing."""
        return [str(each) for each in self._providers.ask_each(lambda each: each.call("getGenesisHash"))]

    def latest_blockhash(self) -> Blockhash:
        """Return the latest confirmed blockhash."""
        with _well_formed("getLatestBlockhash"):
            answer = self._providers.read("getLatestBlockhash", _CONFIRMED)
            value = answer["value"]
            return Blockhash(value["blockhash"], value["lastValidBlockHeight"], answer["context"]["slot"])

    def rent_exemption(self, size: int) -> int:
        """Return the lamports that an account of ``size`` bytes must hold."""
        with _well_formed("getMinimumBalanceForRentExemption"):
            return int(self._providers.read("getMinimumBalanceForRentExemption", size))

    def balances(self, addresses: Sequence[str]) -> dict[str, int]:
        """Return the confirmed lamports of accounts; 0 for one that does not exist."""
        config = {**_CONFIRMED, "encoding": "base64", "dataSlice": {"offset": 0, "length": 0}}
        lamports: dict[str, int] = {}
        for part in _parts(addresses, _MAX_ACCOUNTS):
            with _well_formed("getMultipleAccounts"):
                found = self._providers.read("getMultipleAccounts", part, config)["value"]
                for address, account in zip(part, found, strict=True):
                    lamports[address] = account["lamports"] if account else 0
        return lamports

    def accounts(self, addresses: Sequence[str]) -> dict[str, AccountState]:
        """Return the confirmed accounts that exist, by address."""
        states: dict[str, AccountState] = {}
        for part in _parts(addresses, _MAX_ACCOUNTS):
            with _well_formed("getMultipleAccounts"):
                found = self._providers.read("getMultipleAccounts", part, {**_CONFIRMED, **_ENCODED})["value"]
                for address, account in zip(part, found, strict=True):
                    if account:
                        data = base64.b64decode(account["data"][0])
                        states[address] = AccountState(account["owner"], account["lamports"], data)
        return states

    def send(self, transaction: bytes, *, preflight: bool) -> None:
        """Send a transaction through every provider; the nodes do not repeat it.

        Raises :class:`~cto_worker.errors.MarketError`. After an error the transaction may have been sent.
        """
        config = {
            **_ENCODED,
            "skipPreflight": not preflight,
            "preflightCommitment": "confirmed",
            "maxRetries": 0,
        }
        self._providers.send("sendTransaction", base64.b64encode(transaction).decode(), config)

    def simulate(self, transaction: bytes, addresses: Sequence[str]) -> dict[str, Any]:
        """Return the simulation of a transaction, with the accounts at these addresses afterwards.

        Raises :class:`NoAnswerError` if the node does not know the blockhash: the node lags, or the blockhash
        is too old.
        """
        accounts = {"encoding": "base64", "addresses": list(addresses)}
        config = {**_ENCODED, **_CONFIRMED, "sigVerify": False, "accounts": accounts}
        with _well_formed("simulateTransaction"):
            answer = self._providers.read(
                "simulateTransaction", base64.b64encode(transaction).decode(), config
            )
            value: dict[str, Any] = answer["value"]
            unknown_blockhash = value["err"] == _UNKNOWN_BLOCKHASH
        if unknown_blockhash:
            raise NoAnswerError(
                "a node does not know the blockhash of an order: it lags, or the hash is too old"
            )
        return value

    def transaction(self, signature: str) -> dict[str, Any] | None:
        """Return a confirmed transaction with its balances, or ``None`` if the node knows none."""
        config = {**_CONFIRMED, "encoding": "json", "maxSupportedTransactionVersion": 0}
        found: dict[str, Any] | None = self._providers.read("getTransaction", signature, config)
        return found

    def answers(self, signatures: Sequence[str]) -> list[Mapping[str, NodeAnswer]]:
        """Return what each provider answers about orders, by signature.

        A provider that does not answer is missing.
        """

        def ask(provider: Provider) -> Mapping[str, NodeAnswer]:
            with _well_formed("the state of orders"):
                return _answers(provider, signatures)

        return self._providers.ask_each(ask)


@contextmanager
def _well_formed(method: str) -> Iterator[None]:
    """Turn the errors of a document of an unexpected form into :class:`NoAnswerError`."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        raise NoAnswerError(f"a provider's answer to {method} has an unexpected form: {error!r}") from error


def _answers(provider: Provider, signatures: Sequence[str]) -> Mapping[str, NodeAnswer]:
    """Ask a provider about orders. The finalized height comes first: statuses must not be older than it."""
    genesis_hash = provider.call("getGenesisHash")
    first_available = provider.call("getFirstAvailableBlock")
    finalized = provider.call("getEpochInfo", {"commitment": "finalized"})
    found: dict[str, NodeAnswer] = {}
    for part in _parts(signatures, _MAX_SIGNATURES):
        answer = provider.call("getSignatureStatuses", part, {"searchTransactionHistory": True})
        for signature, status in zip(part, answer["value"], strict=True):
            found[signature] = NodeAnswer(
                genesis_hash=genesis_hash,
                first_available_slot=first_available,
                finalized_height=finalized["blockHeight"],
                finalized_slot=finalized["absoluteSlot"],
                context_slot=answer["context"]["slot"],
                history_searched=True,
                status=_status(status),
            )
    return found


def _status(document: dict[str, Any] | None) -> Status | None:
    """Return a status. A node that names no level of commitment counts as one that only processed it."""
    if document is None:
        return None
    return Status(Level(document.get("confirmationStatus") or Level.PROCESSED), document["err"] is not None)


def _parts(values: Sequence[str], size: int) -> list[list[str]]:
    return [list(values[start : start + size]) for start in range(0, len(values), size)]
