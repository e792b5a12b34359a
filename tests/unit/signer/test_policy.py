"""The signer's policy: which messages it signs, and what it counts for them."""

from __future__ import annotations

import struct

import pytest
from solders.hash import Hash
from solders.message import Message, MessageV1, to_bytes_versioned
from solders.pubkey import Pubkey
from support.messages import instruction, legacy, transfer, version0

from cto_worker.errors import SignerRefusedError
from cto_worker.signer.jupiter_rule import JUPITER
from cto_worker.signer.policy import MAX_FEE_LAMPORTS, check
from cto_worker.signer.program_rules import (
    ASSOCIATED_TOKEN,
    COMPUTE_BUDGET,
    MEMO,
    SYSTEM,
    TOKEN,
    TOKEN_2022,
    WRAPPED_SOL,
    token_account,
    with_wrapped_sol,
)

WALLET, OTHER_OWN, STRANGER, EXCHANGE, MINT, SOURCE, POOL = (str(Pubkey.new_unique()) for _ in range(7))
PAYEES = with_wrapped_sol([EXCHANGE])
FEE = 5_000
SOL = 10**9
WRAPPED = token_account(WALLET, WRAPPED_SOL)
TOKENS = token_account(WALLET, MINT)
NO_CODE = "signed"


def call(program, data, *accounts):
    return instruction(program, data, *accounts, signers=[WALLET])


def budget(tag, value, size=4):
    return call(COMPUTE_BUDGET, bytes([tag]) + value.to_bytes(size, "little"))


def move_tokens(destination, *, mint=MINT, program=TOKEN, amount=7, source=SOURCE):
    return call(program, struct.pack("<BQB", 12, amount, 6), source, mint, destination, WALLET)


def open_account(owner, *, mint=MINT, program=TOKEN, address=None, data=b"\x01"):
    address = address or token_account(owner, mint, program)
    return call(ASSOCIATED_TOKEN, data, WALLET, address, owner, mint, SYSTEM, program)


def batch(*calls):
    data = b"\xff" + b"".join(bytes([len(each.accounts), len(each.data)]) + each.data for each in calls)
    accounts = [str(meta.pubkey) for each in calls for meta in each.accounts]
    return call(TOKEN, data, *accounts)


def swap(*, lamports=SOL, fees=b"\0\0\0\0", name="bb64facc31c4af14", program=JUPITER, **changes):
    """Return a swap as Jupiter's route_v2; ``changes`` replace accounts."""
    accounts = {
        "authority": WALLET,
        "source": WRAPPED,
        "destination": TOKENS,
        "source_mint": WRAPPED_SOL,
        "destination_mint": MINT,
        "source_program": TOKEN,
        "destination_program": TOKEN,
        "other_destination": JUPITER,
        "event_authority": EXCHANGE,
        "program": JUPITER,
    }
    data = bytes.fromhex(name) + struct.pack("<QQH", lamports, 1, 50) + fees + b"route plan"
    return call(program, data, *(accounts | changes).values(), POOL)


def shared_swap(*, destination=TOKENS, source=WRAPPED, fees=b"\0\0\0\0"):
    """Return a swap as Jupiter's shared_accounts_route_v2."""
    data = bytes.fromhex("d19853937cfed8e9") + struct.pack("<BQQH", 1, 3 * SOL, 1, 50) + fees + b"route plan"
    programs = (TOKEN, TOKEN, EXCHANGE, JUPITER)
    accounts = (POOL, WALLET, source, POOL, POOL, destination, WRAPPED_SOL, MINT, *programs)
    return call(JUPITER, data, *accounts)


def of(*instructions):
    return legacy(WALLET, *instructions)


ALLOWED = {  # message, and the lamports that it may spend
    "a transfer to a wallet of the same user": (of(transfer(WALLET, OTHER_OWN, SOL)), FEE),
    "the same in version 0": (version0(WALLET, transfer(WALLET, OTHER_OWN, SOL)), FEE),
    "a payment to an exchange": (of(transfer(WALLET, EXCHANGE, SOL)), FEE + SOL),
    "several payments": (of(*[transfer(WALLET, EXCHANGE, SOL)] * 3), FEE + 3 * SOL),
    "wrapped SOL for a purchase": (of(transfer(WALLET, WRAPPED, SOL), call(TOKEN, b"\x11", WRAPPED)), FEE),
    "wrapped SOL back to the wallet": (of(call(TOKEN, b"\x09", WRAPPED, WALLET, WALLET)), FEE),
    "new token accounts": (
        of(open_account(WALLET), open_account(OTHER_OWN, program=TOKEN_2022)),
        FEE + 2_039_280 + 5_000_000,
    ),
    "a new account of wrapped SOL": (of(open_account(WALLET, mint=WRAPPED_SOL)), FEE),
    "tokens into the wallet's account": (of(move_tokens(TOKENS)), FEE),
    "the same with Token-2022": (
        of(move_tokens(token_account(WALLET, MINT, TOKEN_2022), program=TOKEN_2022)),
        FEE,
    ),
    "a batch: wrapped SOL to an exchange, tokens to the wallet": (
        of(
            batch(
                move_tokens(
                    token_account(EXCHANGE, WRAPPED_SOL), mint=WRAPPED_SOL, amount=SOL, source=WRAPPED
                ),
                move_tokens(TOKENS),
            )
        ),
        FEE + SOL,
    ),
    "a memo": (of(call(MEMO, b"intent 7")), FEE),
    "a priority fee": (of(budget(2, 1_000), budget(3, 1_500_000, 8)), FEE + 1_500),
    "a priority fee, rounded up": (of(budget(2, 1), budget(3, 1, 8)), FEE + 1),
    "a priority fee without a limit of units": (of(budget(3, 1_000, 8)), FEE + 1_400),
    "a swap": (of(swap()), FEE + SOL),
    "a swap whose second destination is the first": (of(swap(other_destination=TOKENS)), FEE + SOL),
    "a swap with shared accounts": (of(shared_swap()), FEE + 3 * SOL),
    "a swap with a pool in a lookup table": (version0(WALLET, swap(), tables=[[POOL]]), FEE + SOL),
}

MULTIPLE = Message.new_with_blockhash(
    [transfer(WALLET, OTHER_OWN, 1), transfer(OTHER_OWN, WALLET, 1)],
    Pubkey.from_string(WALLET),
    Hash.default(),
)
VALID = of(transfer(WALLET, OTHER_OWN, SOL))
LOOKED_UP = version0(WALLET, transfer(WALLET, OTHER_OWN, 1), tables=[[OTHER_OWN]])
REFUSED = {  # message, and the code of its refusal
    "a transfer to a stranger": (of(transfer(WALLET, STRANGER, 1)), "destination_not_allowed"),
    "one hidden behind an allowed one": (
        of(transfer(WALLET, OTHER_OWN, 1), transfer(WALLET, STRANGER, 1)),
        "destination_not_allowed",
    ),
    "a transfer into a stranger's wrapped SOL": (
        of(transfer(WALLET, token_account(STRANGER, WRAPPED_SOL), 1)),
        "destination_not_allowed",
    ),
    "a destination in a lookup table": (
        version0(WALLET, transfer(WALLET, OTHER_OWN, 1), tables=[[OTHER_OWN]]),
        "lookup_table_not_allowed",
    ),
    "another signer besides the wallet": (bytes(MULTIPLE), "signers_not_allowed"),
    "another fee payer": (legacy(OTHER_OWN, transfer(OTHER_OWN, WALLET, 1)), "signers_not_allowed"),
    "the wallet assigned to a program": (
        of(call(SYSTEM, struct.pack("<I32s", 1, bytes(32)), WALLET)),
        "instruction_not_allowed",
    ),
    "a new account": (
        of(call(SYSTEM, struct.pack("<IQQ32s", 0, 1, 1, bytes(32)), WALLET, STRANGER)),
        "instruction_not_allowed",
    ),
    "a durable nonce, which never expires": (
        of(call(SYSTEM, struct.pack("<I", 4), OTHER_OWN, POOL, WALLET)),
        "instruction_not_allowed",
    ),
    "a transfer out of a wallet that does not sign": (
        of(call(SYSTEM, struct.pack("<IQ", 2, 1), OTHER_OWN, WALLET)),
        "instruction_not_allowed",
    ),
    "a transfer with data after it": (
        of(call(SYSTEM, struct.pack("<IQB", 2, 1, 0), WALLET, OTHER_OWN)),
        "instruction_not_allowed",
    ),
    "a transfer without a destination": (
        of(call(SYSTEM, struct.pack("<IQ", 2, 1), WALLET)),
        "instruction_not_allowed",
    ),
    "an unknown program": (of(call(STRANGER, b"", WALLET)), "program_not_allowed"),
    "tokens to a stranger": (
        of(move_tokens(token_account(STRANGER, MINT), source=TOKENS)),
        "destination_not_allowed",
    ),
    "tokens to an exchange": (
        of(move_tokens(token_account(EXCHANGE, WRAPPED_SOL), source=TOKENS)),
        "destination_not_allowed",
    ),
    "tokens of another program": (
        of(move_tokens(TOKENS, program=TOKEN_2022)),
        "destination_not_allowed",
    ),
    "tokens to a stranger in a batch": (
        of(batch(move_tokens(TOKENS), move_tokens(STRANGER))),
        "destination_not_allowed",
    ),
    "a batch in a batch": (of(batch(batch(move_tokens(STRANGER)))), "instruction_not_allowed"),
    "a batch that is cut off": (
        of(call(TOKEN, b"\xff\x04\x0a\x0c", *[WALLET] * 4)),
        "instruction_not_allowed",
    ),
    "a batch with too few accounts": (
        of(call(TOKEN, b"\xff\x09\x01\x11", WALLET)),
        "instruction_not_allowed",
    ),
    "a transfer without a check of the mint": (
        of(call(TOKEN, struct.pack("<BQ", 3, 1), WRAPPED, TOKENS, WALLET)),
        "instruction_not_allowed",
    ),
    "an approval": (
        of(call(TOKEN, struct.pack("<BQ", 4, 1), TOKENS, STRANGER, WALLET)),
        "instruction_not_allowed",
    ),
    "another owner of a token account": (
        of(call(TOKEN, bytes([6, 2, 1]) + bytes(32), TOKENS, WALLET)),
        "instruction_not_allowed",
    ),
    "wrapped SOL closed to a stranger": (
        of(call(TOKEN, b"\x09", WRAPPED, STRANGER, WALLET)),
        "destination_not_allowed",
    ),
    "a token account for a stranger": (of(open_account(STRANGER)), "destination_not_allowed"),
    "a token account at another address": (
        of(open_account(WALLET, address=STRANGER)),
        "destination_not_allowed",
    ),
    "a token account of another program": (
        of(open_account(WALLET, program=STRANGER)),
        "instruction_not_allowed",
    ),
    "another instruction of that program": (
        of(open_account(WALLET, data=b"\x02")),
        "instruction_not_allowed",
    ),
    "a fee above the limit": (of(budget(3, MAX_FEE_LAMPORTS, 8)), "fee_above_limit"),
    "the retired budget with a fee of its own": (
        of(call(COMPUTE_BUDGET, b"\0" + bytes(8))),
        "instruction_not_allowed",
    ),
    "a swap into a stranger's account": (
        of(swap(destination=token_account(STRANGER, MINT))),
        "instruction_not_allowed",
    ),
    "a swap with a second destination": (
        of(swap(other_destination=token_account(STRANGER, MINT))),
        "instruction_not_allowed",
    ),
    "a swap of other tokens": (
        of(swap(source_mint=MINT, source=TOKENS, destination_mint=WRAPPED_SOL, destination=WRAPPED)),
        "instruction_not_allowed",
    ),
    "a swap from another account": (of(swap(source=SOURCE)), "instruction_not_allowed"),
    "a swap of another mint": (of(swap(source_mint=MINT)), "instruction_not_allowed"),
    "a swap from another program": (of(swap(source_program=TOKEN_2022)), "instruction_not_allowed"),
    "a swap into another program": (
        of(swap(destination_program=STRANGER, destination=token_account(WALLET, MINT, STRANGER))),
        "instruction_not_allowed",
    ),
    "a swap for another wallet": (of(swap(authority=OTHER_OWN)), "instruction_not_allowed"),
    "a swap with a platform fee": (of(swap(fees=b"\x01\0\0\0")), "instruction_not_allowed"),
    "a swap with a fee on slippage": (of(swap(fees=b"\0\0\x01\0")), "instruction_not_allowed"),
    "a swap that is cut off": (
        of(call(JUPITER, bytes.fromhex("bb64facc31c4af14") + bytes(10), WALLET)),
        "instruction_not_allowed",
    ),
    "an older instruction of Jupiter": (of(swap(name="e517cb977ae3ad2a")), "instruction_not_allowed"),
    "shared accounts into a stranger's account": (
        of(shared_swap(destination=token_account(STRANGER, MINT))),
        "instruction_not_allowed",
    ),
    "shared accounts from another account": (of(shared_swap(source=SOURCE)), "instruction_not_allowed"),
    "shared accounts with a fee": (of(shared_swap(fees=b"\0\x01\0\0")), "instruction_not_allowed"),
    "a swap whose destination is in a lookup table": (
        version0(WALLET, swap(), tables=[[TOKENS]]),
        "lookup_table_not_allowed",
    ),
    "no message": (b"", "message_invalid"),
    "text": (b"sign this", "message_invalid"),
    "bytes after the end": (VALID + b"\0", "message_invalid"),
    "a cut message": (VALID[:-1], "message_invalid"),
    "an account that does not exist": (VALID[:-14] + b"\x63" + VALID[-13:], "message_invalid"),
    "a program that does not exist": (VALID[:-17] + b"\x63" + VALID[-16:], "message_invalid"),
    "a program in a lookup table": (LOOKED_UP[:-53] + b"\2" + LOOKED_UP[-52:], "message_invalid"),
    "no signer": (b"\0" + VALID[1:], "message_invalid"),
    "more signers than accounts": (b"\x63" + VALID[1:], "message_invalid"),
    "an account twice": (VALID[:36] + VALID[4:36] + VALID[68:], "message_invalid"),
    "too many bytes": (of(call(MEMO, bytes(1_200))), "message_invalid"),
    "version 1, which has fees of its own": (
        to_bytes_versioned(
            MessageV1.try_compile(
                Pubkey.from_string(WALLET), [transfer(WALLET, OTHER_OWN, 1)], Hash.default()
            )
        ),
        "message_invalid",
    ),
}


def result_of(message):
    try:
        return NO_CODE, check(message, WALLET, {WALLET, OTHER_OWN}.__contains__, PAYEES)
    except SignerRefusedError as error:
        return error.code, str(error)


def test_allowed_messages_are_counted():
    results = {name: result_of(message) for name, (message, _) in ALLOWED.items()}
    assert results == {name: (NO_CODE, lamports) for name, (_, lamports) in ALLOWED.items()}


def test_all_other_messages_are_refused():
    codes = {name: result_of(message)[0] for name, (message, _) in REFUSED.items()}
    assert codes == {name: code for name, (_, code) in REFUSED.items()}


def test_a_message_without_rules_does_not_pass():
    with pytest.raises(SignerRefusedError, match="neither a wallet of this user"):
        check(VALID, WALLET, {WALLET}.__contains__, frozenset())
