"""The accounts of a transaction in the order of their indexes, those of lookup tables included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from solders.message import MessageV0, MessageV1

from cto_worker.markets.solana.local_chain import lookup_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from solders.message import Message
    from solders.pubkey import Pubkey


@dataclass(frozen=True, slots=True)
class TransactionAccounts:
    """The accounts that a transaction names: its own first, then the loaded ones."""

    static: list[Pubkey]
    loaded_writable: list[Pubkey]
    loaded_readonly: list[Pubkey]
    writable: frozenset[int]  # indexes of writable accounts

    @property
    def addresses(self) -> list[Pubkey]:
        """All addresses in the order of their indexes."""
        return [*self.static, *self.loaded_writable, *self.loaded_readonly]


def accounts_of(
    message: Message | MessageV0, table_bytes: Callable[[Pubkey], bytes | None]
) -> TransactionAccounts:
    """Return the accounts of a message.

    ``table_bytes`` returns the data of a lookup table, ``None`` if there is no such table. Raises
    ``LookupError`` if the message names an address that no table contains.
    """
    static = list(message.account_keys)
    writable: list[Pubkey] = []
    readonly: list[Pubkey] = []
    for lookup in message.address_table_lookups if isinstance(message, MessageV0) else ():
        data = table_bytes(lookup.account_key)
        if data is None:
            raise LookupError(f"there is no lookup table {lookup.account_key}")
        writable += lookup_table.addresses_at(data, bytes(lookup.writable_indexes))
        readonly += lookup_table.addresses_at(data, bytes(lookup.readonly_indexes))
    own = {index for index in range(len(static)) if _is_writable(message, index)}
    loaded = range(len(static), len(static) + len(writable))
    return TransactionAccounts(static, writable, readonly, frozenset({*own, *loaded}))


def supported(message: Message | MessageV0 | MessageV1) -> Message | MessageV0:
    """Return the message. Raises ``ValueError`` if it has a version that the local chain does not execute."""
    if isinstance(message, MessageV1):
        raise ValueError("the message has version 1: the local chain executes legacy and version 0")  # noqa: TRY004
    return message


def _is_writable(message: Message | MessageV0, index: int) -> bool:
    header = message.header
    signers = header.num_required_signatures
    if index < signers:
        return index < signers - header.num_readonly_signed_accounts
    return index < len(message.account_keys) - header.num_readonly_unsigned_accounts
