"""An aggregator's offer of a swap, and the message that accepts it.

The offer is the answer to ``GET /build`` of Jupiter's Swap API V2: https://dev.jup.ag/docs/swap/v2/build. The
aggregator is not trusted: :mod:`.swap_check` checks the message before it is signed.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.message import MessageV0
from solders.pubkey import Pubkey

from cto_worker.markets.solana.receipts import JUPITER
from cto_worker.markets.solana.rpc_client import NoAnswerError

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_COMPUTE_UNITS = 1_400_000  # of one transaction
_MICRO = 1_000_000
_OPAQUE = frozenset({Pubkey.from_string(JUPITER)})  # programs whose accounts nobody else checks


@dataclass(frozen=True, slots=True)
class SwapOffer:
    """A swap of lamports for tokens. The aggregator's compute budget is left out: we set our own."""

    labels: tuple[str, ...]  # of the exchanges on the route
    mint: str
    lamports: int
    tokens: int  # base units that are expected
    minimum: int  # base units without which the swap fails
    instructions: tuple[Instruction, ...]
    tables: tuple[AddressLookupTableAccount, ...]
    blockhash: str
    last_valid_block_height: int


def offer_of(document: Any) -> SwapOffer:
    """Return the offer in an aggregator's answer. Raises :class:`NoAnswerError` for another form."""
    try:
        return _offer(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NoAnswerError(f"the aggregator's answer has an unexpected form: {error!r}") from error


def _offer(document: dict[str, Any]) -> SwapOffer:
    if document.get("tipInstruction"):
        raise ValueError("it contains a tip, which was not asked for")
    optional = document.get("cleanupInstruction")
    instructions = [
        *document["setupInstructions"],
        document["swapInstruction"],
        *([optional] if optional else []),
        *document["otherInstructions"],
    ]
    recent = document["blockhashWithMetadata"]
    return SwapOffer(
        labels=tuple(str(each["swapInfo"]["label"]) for each in document["routePlan"]),
        mint=str(document["outputMint"]),
        lamports=int(document["inAmount"]),
        tokens=int(document["outAmount"]),
        minimum=int(document["otherAmountThreshold"]),
        instructions=tuple(_instruction(each) for each in instructions),
        tables=tuple(
            AddressLookupTableAccount(
                Pubkey.from_string(table), [Pubkey.from_string(each) for each in addresses]
            )
            for table, addresses in (document["addressesByLookupTableAddress"] or {}).items()
        ),
        blockhash=str(Hash(bytes(recent["blockhash"]))),
        last_valid_block_height=int(recent["lastValidBlockHeight"]),
    )


def swap_message(
    wallet: str, offer: SwapOffer, *, compute_units: int, priority_fee_lamports: int
) -> MessageV0:
    """Return the message that accepts an offer. The wallet pays at most this priority fee."""
    budget = [
        set_compute_unit_limit(compute_units),
        set_compute_unit_price(priority_fee_lamports * _MICRO // compute_units),
    ]
    return MessageV0.try_compile(
        Pubkey.from_string(wallet),
        [*budget, *offer.instructions],
        _usable(offer.tables, offer.instructions),
        Hash.from_string(offer.blockhash),
    )


def _usable(
    tables: Iterable[AddressLookupTableAccount], instructions: Iterable[Instruction]
) -> list[AddressLookupTableAccount]:
    """Return tables without the accounts that the signer checks.

    Such an account must be in the message itself, because the owner of a table can change it. An address in
    a table counts by its position, so one that is not to be used is replaced.
    """
    checked = {
        account.pubkey for each in instructions if each.program_id not in _OPAQUE for account in each.accounts
    }
    return [
        AddressLookupTableAccount(
            table.key, [Pubkey.new_unique() if each in checked else each for each in table.addresses]
        )
        for table in tables
    ]


def _instruction(document: dict[str, Any]) -> Instruction:
    accounts = [
        AccountMeta(Pubkey.from_string(each["pubkey"]), bool(each["isSigner"]), bool(each["isWritable"]))
        for each in document["accounts"]
    ]
    data = base64.b64decode(document["data"], validate=True)
    return Instruction(Pubkey.from_string(document["programId"]), data, accounts)
