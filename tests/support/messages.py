"""Messages of Solana transactions for the signer, made with solders."""

from __future__ import annotations

import struct

from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.message import Message, MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey

from cto_worker.signer.program_rules import SYSTEM


def instruction(program, data, *accounts, signers=()):
    """Return a call of a program. ``accounts`` are addresses; those in ``signers`` sign."""
    metas = [AccountMeta(Pubkey.from_string(each), each in signers, is_writable=True) for each in accounts]
    return Instruction(Pubkey.from_string(program), data, metas)


def transfer(source, destination, lamports):
    return instruction(SYSTEM, struct.pack("<IQ", 2, lamports), source, destination, signers=[source])


def legacy(payer, *instructions, blockhash=1):
    """Return the bytes of a legacy message. ``blockhash`` makes it differ from others."""
    recent = Hash.from_bytes(blockhash.to_bytes(32, "big"))
    return bytes(Message.new_with_blockhash(instructions, Pubkey.from_string(payer), recent))


def version0(payer, *instructions, tables=()):
    """Return the bytes of a message of version 0, whose accounts are in lookup tables where possible."""
    accounts = [
        AddressLookupTableAccount(Pubkey.new_unique(), [Pubkey.from_string(each) for each in table])
        for table in tables
    ]
    message = MessageV0.try_compile(Pubkey.from_string(payer), instructions, accounts, Hash.default())
    return to_bytes_versioned(message)
