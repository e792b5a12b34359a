"""Receipts: what a transaction cost and brought, from its balances before and after."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from cto_worker.markets.solana.rpc_client import NoAnswerError

JUPITER = "JUP6LkbZbjS1jKKwapdHNy74zcZ3tLUZoi5QNyVTaV4"
_SYSTEM = "11111111111111111111111111111111"
_TOKEN_PROGRAMS = frozenset(
    {"TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"}
)
# Custom errors of programs: https://dev.jup.ag/docs/swap/common-errors, and those of SPL Token and System.
# A local exchange revokes its approval if the price has moved: then "owner does not match" (4).
_CUSTOM_ERRORS = {
    (JUPITER, 6001): "slippage_exceeded",
    (JUPITER, 6024): "insufficient_funds",
    **{(program, 4): "slippage_exceeded" for program in _TOKEN_PROGRAMS},
    **{(program, 1): "insufficient_funds" for program in (*_TOKEN_PROGRAMS, _SYSTEM)},
}
_ERRORS = {
    "InsufficientFundsForFee": "insufficient_funds",
    "InsufficientFundsForRent": "insufficient_funds",
    "AccountNotFound": "insufficient_funds",
}
OTHER_ERROR = "transaction_failed"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A transaction's effect on its accounts. A negative number left the account."""

    slot: int
    payer: str  # the account that signed the transaction and paid its fee
    fee: int  # lamports
    error: Any  # None: executed
    error_code: str  # empty: executed
    lamports: dict[str, int]  # change by address
    tokens: dict[tuple[str, str], int]  # change in base units by owner and mint


def receipt_of(document: dict[str, Any]) -> Receipt:
    """Return the receipt in an answer to ``getTransaction`` with the encoding ``json``.

    Raises :class:`NoAnswerError` if the document has another form.
    """
    try:
        meta, message = document["meta"], document["transaction"]["message"]
        loaded = meta.get("loadedAddresses") or {"writable": [], "readonly": []}
        addresses = [*message["accountKeys"], *loaded["writable"], *loaded["readonly"]]
        before, after = meta["preBalances"], meta["postBalances"]
        error = meta["err"]
        return Receipt(
            slot=int(document["slot"]),
            payer=addresses[0],
            fee=int(meta["fee"]),
            error=error,
            error_code=error_code(error, _programs(message, addresses)),
            lamports={
                address: int(late) - int(early)
                for address, early, late in zip(addresses, before, after, strict=True)
            },
            tokens=_token_changes(meta["preTokenBalances"], meta["postTokenBalances"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as malformed:
        raise NoAnswerError(f"a provider's transaction has an unexpected form: {malformed!r}") from malformed


def error_code(error: Any, programs: list[str]) -> str:
    """Return the project's code of a transaction's error, empty without one.

    ``programs`` are the programs of its instructions.
    """
    match error:
        case None:
            return ""
        case {"InstructionError": [int(index), {"Custom": int(code)}]} if index < len(programs):
            return _CUSTOM_ERRORS.get((programs[index], code), OTHER_ERROR)
        case str(name):
            return _ERRORS.get(name, OTHER_ERROR)
        case {**details} if len(details) == 1:
            return _ERRORS.get(str(*details), OTHER_ERROR)
        case _:
            return OTHER_ERROR


def _programs(message: dict[str, Any], addresses: list[str]) -> list[str]:
    return [addresses[each["programIdIndex"]] for each in message["instructions"]]


def _token_changes(before: list[Any], after: list[Any]) -> dict[tuple[str, str], int]:
    changes: Counter[tuple[str, str]] = Counter()
    for sign, balances in ((-1, before), (1, after)):
        for each in balances:
            changes[each["owner"], each["mint"]] += sign * int(each["uiTokenAmount"]["amount"])
    return {key: change for key, change in changes.items() if change}
