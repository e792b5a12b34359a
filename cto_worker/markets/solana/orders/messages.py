"""The messages of orders, and their fees."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from cto_worker.markets.solana.orders.memo import memo_of
from cto_worker.markets.solana.swap_offer import SwapOffer, swap_message

if TYPE_CHECKING:
    from cto_worker.domain.market_port import Buy, Transfer

BASE_FEE_LAMPORTS = 5_000  # of a transaction with one signature
_TRANSFER_UNITS = 50_000  # compute units: of a transfer and a memo, with a reserve
_TRANSFER_PRIORITY_LAMPORTS = 5_000
_BUY_UNITS = 600_000  # of a swap through several pools; the fee does not depend on it
_MICRO = 1_000_000
TRANSFER_FEE_LAMPORTS = BASE_FEE_LAMPORTS + _TRANSFER_PRIORITY_LAMPORTS
MAX_TRANSACTION_BYTES = 1_232


def transfer_message(intent: Transfer, blockhash: str) -> MessageV0:
    """Return one plain System transfer."""
    source = Pubkey.from_string(intent.source)
    parameters = TransferParams(
        from_pubkey=source, to_pubkey=Pubkey.from_string(intent.destination), lamports=intent.lamports
    )
    instructions = [
        set_compute_unit_limit(_TRANSFER_UNITS),
        set_compute_unit_price(_TRANSFER_PRIORITY_LAMPORTS * _MICRO // _TRANSFER_UNITS),
        transfer(parameters),
        memo_of(intent.intent_id),
    ]
    return MessageV0.try_compile(source, instructions, [], Hash.from_string(blockhash))


def buy_message(intent: Buy, offer: SwapOffer, blockhash: str) -> MessageV0:
    """Return the swap of an offer, with a blockhash whose last valid height our own provider has said."""
    with_memo = replace(
        offer, instructions=(*offer.instructions, memo_of(intent.intent_id)), blockhash=blockhash
    )
    return swap_message(
        intent.wallet,
        with_memo,
        compute_units=_BUY_UNITS,
        priority_fee_lamports=intent.priority_fee_lamports,
    )


def unsigned(message: MessageV0) -> bytes:
    """Return a transaction for a simulation, without a valid signature."""
    return bytes(VersionedTransaction.populate(message, [Signature.default()]))
