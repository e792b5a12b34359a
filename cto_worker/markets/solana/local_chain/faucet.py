"""The faucet: gives away the SOL with which the chain began, by ordinary transactions."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from solders.instruction import Instruction
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

if TYPE_CHECKING:
    from cto_worker.markets.solana.local_chain.chain import Chain

MEMO_PROGRAM = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")


def airdrop(chain: Chain, address: Pubkey, lamports: int) -> VersionedTransaction:
    """Return a transaction that sends lamports of the faucet. Its memo makes it differ from equal ones."""
    key = chain.genesis.faucet
    memo = f"local chain: airdrop {secrets.token_hex(8)}".encode()
    instructions = [
        transfer(TransferParams(from_pubkey=key.pubkey(), to_pubkey=address, lamports=lamports)),
        Instruction(MEMO_PROGRAM, memo, []),
    ]
    message = MessageV0.try_compile(key.pubkey(), instructions, [], chain.tip.hash)
    return VersionedTransaction(message, [key])
