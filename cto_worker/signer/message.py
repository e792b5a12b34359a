"""A transaction's message, decoded: the bytes that a signature covers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from solders.message import MessageV0, MessageV1, from_bytes_versioned, to_bytes_versioned

from cto_worker.errors import SignerRefusedError

if TYPE_CHECKING:
    from solders.message import Message as LegacyMessage

# A transaction has at most 1,232 bytes. The number of signatures takes one, and one signature 64.
MAX_BYTES = 1_232 - 1 - 64


@dataclass(frozen=True, slots=True)
class Instruction:
    """A call of a program. An account from a lookup table is ``None``: the message does not contain it."""

    program: str
    accounts: tuple[str | None, ...]
    data: bytes

    def account(self, index: int) -> str:
        """Return the address of an account that a rule has to check.

        Raises :class:`SignerRefusedError` if it is missing, or in a lookup table, which its owner can change.
        """
        if index >= len(self.accounts):
            raise SignerRefusedError(
                "instruction_not_allowed", f"an instruction of {self.program} has no account {index}"
            )
        address = self.accounts[index]
        if address is None:
            raise SignerRefusedError(
                "lookup_table_not_allowed",
                f"account {index} of an instruction of {self.program} is in a lookup table: "
                "put it into the message itself",
            )
        return address


@dataclass(frozen=True, slots=True)
class Message:
    """A decoded message. The first signer pays the fee."""

    signers: tuple[str, ...]
    instructions: tuple[Instruction, ...]


def decode(message: bytes) -> Message:
    """Return a legacy or version 0 message. Raises :class:`SignerRefusedError` ``message_invalid``.

    No other bytes have the same meaning, so that the chain reads what the policy has checked.
    """
    if len(message) > MAX_BYTES:
        raise _invalid(f"it has {len(message)} bytes, more than {MAX_BYTES}")
    try:
        parsed = from_bytes_versioned(message)
        canonical = to_bytes_versioned(parsed) == message
    except ValueError as error:
        raise _invalid(str(error)) from error
    if isinstance(parsed, MessageV1):  # has fees outside of its instructions
        raise _invalid("its version is 1, and only legacy messages and version 0 are allowed")
    if not canonical:
        raise _invalid("it is not in the canonical encoding, or has bytes after its end")
    accounts = _accounts(parsed)
    required = parsed.header.num_required_signatures
    static = len(parsed.account_keys)
    if not 1 <= required <= static or len(set(accounts[:static])) < static:
        raise _invalid(f"{required} signatures are required, of {static} accounts, which must differ")
    return Message(
        signers=tuple(str(key) for key in parsed.account_keys[:required]),
        instructions=tuple(
            _instruction(accounts, each.program_id_index, each.accounts, each.data)
            for each in parsed.instructions
        ),
    )


def _accounts(parsed: LegacyMessage | MessageV0) -> list[str | None]:
    """Return the accounts that the instructions index: those in the message, then those in lookup tables."""
    accounts: list[str | None] = [str(key) for key in parsed.account_keys]
    if isinstance(parsed, MessageV0):
        for lookup in parsed.address_table_lookups:
            accounts += [None] * (len(lookup.writable_indexes) + len(lookup.readonly_indexes))
    return accounts


def _instruction(accounts: list[str | None], program: int, indexes: bytes, data: bytes) -> Instruction:
    try:
        program_id = accounts[program]
        used = tuple(accounts[index] for index in indexes)
    except IndexError as error:
        raise _invalid("an instruction names an account that does not exist") from error
    if program_id is None:
        raise _invalid("a program is in a lookup table")
    return Instruction(program_id, used, bytes(data))


def _invalid(reason: str) -> SignerRefusedError:
    return SignerRefusedError("message_invalid", f"the message is not valid: {reason}")
