"""Address lookup tables: their bytes, and the addresses that a transaction takes from them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from solders.pubkey import Pubkey

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = Pubkey.from_string("AddressLookupTab1e1111111111111111111111111")
_HEADER_BYTES = 56
_KEY_BYTES = 32


def table_data(addresses: Sequence[Pubkey]) -> bytes:
    """Return the bytes of a table that nobody can change and that is never deactivated."""
    header = struct.pack("<IQQBB32sH", 1, 2**64 - 1, 0, 0, 0, bytes(_KEY_BYTES), 0)
    return header + b"".join(map(bytes, addresses))


def addresses_at(data: bytes, indexes: bytes) -> list[Pubkey]:
    """Return the addresses at these positions of a table. Raises ``IndexError`` beyond its end."""
    addresses = []
    for index in indexes:
        start = _HEADER_BYTES + index * _KEY_BYTES
        if start + _KEY_BYTES > len(data):
            raise IndexError(f"the lookup table has no address {index}")
        addresses.append(Pubkey.from_bytes(data[start : start + _KEY_BYTES]))
    return addresses
