"""Solana transactions of tests, without a network."""

from __future__ import annotations

import base64

from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from cto_worker.markets.solana.token_program import WRAPPED_SOL

SOL = 1_000_000_000
FEE = 5_000  # lamports of a transaction with one signature and no priority fee


def signed(key, instructions, blockhash, *, tables=(), others=()):
    """Return a transaction that ``key`` pays, signed by the other keys as well."""
    message = MessageV0.try_compile(key.pubkey(), instructions, list(tables), blockhash)
    return VersionedTransaction(message, [key, *others])


def transfer_of(key, destination, lamports, blockhash):
    instruction = transfer(TransferParams(from_pubkey=key.pubkey(), to_pubkey=destination, lamports=lamports))
    return signed(key, [instruction], blockhash)


def in_base64(transaction):
    return base64.b64encode(bytes(transaction)).decode()


def build_query(key, mint, lamports, **changes):
    """Return the parameters of a request for a swap."""
    query = {"inputMint": str(WRAPPED_SOL), "outputMint": str(mint), "amount": str(lamports)}
    return {**query, "taker": str(key.pubkey()), "slippageBps": "100", **changes}


def swap_of(key, built, *, with_tables=True):
    """Return the transaction for the aggregator's answer."""
    instructions = [
        *built["computeBudgetInstructions"],
        *built["setupInstructions"],
        built["swapInstruction"],
        built["cleanupInstruction"],
        *built["otherInstructions"],
    ]
    tables = [
        AddressLookupTableAccount(Pubkey.from_string(table), [Pubkey.from_string(each) for each in addresses])
        for table, addresses in built["addressesByLookupTableAddress"].items()
    ]
    blockhash = Hash(bytes(built["blockhashWithMetadata"]["blockhash"]))
    return signed(key, list(map(_instruction, instructions)), blockhash, tables=tables if with_tables else ())


def _instruction(document):
    accounts = [
        AccountMeta(Pubkey.from_string(each["pubkey"]), each["isSigner"], each["isWritable"])
        for each in document["accounts"]
    ]
    return Instruction(
        Pubkey.from_string(document["programId"]), base64.b64decode(document["data"]), accounts
    )
