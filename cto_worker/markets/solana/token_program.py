"""SPL Token: addresses, account layouts and instructions.

The layouts are those of the program's accounts: 165 bytes of a token account, 82 of a mint. Source:
https://github.com/solana-program/token.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM

if TYPE_CHECKING:
    from collections.abc import Sequence

TOKEN_PROGRAM = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022_PROGRAM = Pubkey.from_string("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
TOKEN_PROGRAMS = frozenset({TOKEN_PROGRAM, TOKEN_2022_PROGRAM})
ASSOCIATED_PROGRAM = Pubkey.from_string("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
MEMO_PROGRAM = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
WRAPPED_SOL = Pubkey.from_string("So11111111111111111111111111111111111111112")
SOL_DECIMALS = 9

ACCOUNT_BYTES = 165
MINT_BYTES = 82
_ACCOUNT = struct.Struct("<32s32sQI32sB")  # mint, owner, amount, delegate, state
_NATIVE_OFFSET = 109


@dataclass(frozen=True, slots=True)
class TokenAccount:
    """The state of a token account. ``amount`` is in base units of the token."""

    mint: Pubkey
    owner: Pubkey
    amount: int
    delegate: Pubkey | None
    native: bool  # wrapped SOL


def token_account(data: bytes) -> TokenAccount | None:
    """Return the token account with these bytes, or ``None`` if it is a mint or not initialized."""
    if len(data) < ACCOUNT_BYTES:
        return None
    mint, owner, amount, has_delegate, delegate, state = _ACCOUNT.unpack_from(data)
    if not state:
        return None
    approved = Pubkey.from_bytes(delegate) if has_delegate else None
    return TokenAccount(
        Pubkey.from_bytes(mint), Pubkey.from_bytes(owner), amount, approved, bool(data[_NATIVE_OFFSET])
    )


def mint_decimals(data: bytes) -> int:
    """Return the number of decimals of the mint with these bytes."""
    return data[44]


def mint_supply(data: bytes) -> int:
    """Return the supply of the mint with these bytes, in base units."""
    return int.from_bytes(data[36:44], "little")


def mint_data(authority: Pubkey | None, decimals: int) -> bytes:
    """Return the bytes of a mint without supply. Without an authority nobody can mint."""
    optional = struct.pack("<I32s", authority is not None, bytes(authority or Pubkey.default()))
    return optional + struct.pack("<QBB", 0, decimals, 1) + struct.pack("<I32s", 0, bytes(32))


def associated_account(owner: Pubkey, mint: Pubkey, program: Pubkey = TOKEN_PROGRAM) -> Pubkey:
    """Return the address of a wallet's account for a token of a token program."""
    seeds = [bytes(owner), bytes(program), bytes(mint)]
    return Pubkey.find_program_address(seeds, ASSOCIATED_PROGRAM)[0]


def open_associated(payer: Pubkey, owner: Pubkey, mint: Pubkey) -> Instruction:
    """Open a wallet's account for a token, unless it is open. The payer pays its rent."""
    accounts = [
        AccountMeta(payer, is_signer=True, is_writable=True),
        _writable(associated_account(owner, mint)),
        *map(_readonly, (owner, mint, SYSTEM_PROGRAM, TOKEN_PROGRAM)),
    ]
    return Instruction(ASSOCIATED_PROGRAM, bytes([1]), accounts)


def initialize_account(account: Pubkey, mint: Pubkey, owner: Pubkey) -> Instruction:
    """Make a new account of 165 bytes a token account."""
    return _instruction(bytes([18]) + bytes(owner), [_writable(account), _readonly(mint)])


def mint_to(mint: Pubkey, account: Pubkey, authority: Pubkey, amount: int) -> Instruction:
    """Create base units of a token."""
    accounts = [_writable(mint), _writable(account), _signer(authority)]
    return _instruction(struct.pack("<BQ", 7, amount), accounts)


def burn(account: Pubkey, mint: Pubkey, owner: Pubkey, amount: int) -> Instruction:
    """Destroy base units of a token."""
    accounts = [_writable(account), _writable(mint), _signer(owner)]
    return _instruction(struct.pack("<BQ", 8, amount), accounts)


def approve(account: Pubkey, delegate: Pubkey, owner: Pubkey, amount: int) -> Instruction:
    """Allow another wallet, the delegate, to transfer base units out of an account."""
    accounts = [_writable(account), _readonly(delegate), _signer(owner)]
    return _instruction(struct.pack("<BQ", 4, amount), accounts)


def revoke(account: Pubkey, owner: Pubkey) -> Instruction:
    """Withdraw the approval of the delegate."""
    return _instruction(bytes([5]), [_writable(account), _signer(owner)])


def close_account(account: Pubkey, destination: Pubkey, owner: Pubkey) -> Instruction:
    """Close an account that is empty or contains wrapped SOL. Its lamports go to the destination."""
    return _instruction(bytes([9]), [_writable(account), _writable(destination), _signer(owner)])


def sync_native(account: Pubkey) -> Instruction:
    """Make the amount of a wrapped-SOL account that of its lamports."""
    return _instruction(bytes([17]), [_writable(account)])


def transfer_checked(  # noqa: PLR0913, PLR0917 - the accounts of the instruction, in its order
    source: Pubkey, mint: Pubkey, destination: Pubkey, authority: Pubkey, amount: int, decimals: int
) -> Instruction:
    """Transfer base units of a token. The authority is the owner of the source, or its delegate."""
    accounts = [_writable(source), _readonly(mint), _writable(destination), _signer(authority)]
    return _instruction(struct.pack("<BQB", 12, amount, decimals), accounts)


def batch(instructions: Sequence[Instruction]) -> Instruction:
    """Return one instruction of the program that executes all of these, each of them its own.

    Its data is the byte 255 and, for each inner instruction, the number of its accounts, the length of its
    data, and its data.
    """
    data = bytes([255]) + b"".join(
        bytes([len(each.accounts), len(each.data)]) + bytes(each.data) for each in instructions
    )
    return _instruction(data, [account for each in instructions for account in each.accounts])


def _instruction(data: bytes, accounts: list[AccountMeta]) -> Instruction:
    return Instruction(TOKEN_PROGRAM, data, accounts)


def _writable(address: Pubkey) -> AccountMeta:
    return AccountMeta(address, is_signer=False, is_writable=True)


def _readonly(address: Pubkey) -> AccountMeta:
    return AccountMeta(address, is_signer=False, is_writable=False)


def _signer(address: Pubkey) -> AccountMeta:
    return AccountMeta(address, is_signer=True, is_writable=False)
