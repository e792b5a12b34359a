"""The memo of an order: it makes two orders of one intent differ, and names the intent on the chain.

The chain shows only a digest: with an intent id its transactions can be found, but no job or user can be read
from it.
"""

from __future__ import annotations

import hashlib
import re
import secrets

from solders.instruction import Instruction

from cto_worker.markets.solana.token_program import MEMO_PROGRAM

_MEMO = re.compile(r"\bcto ([0-9a-f]{32}) [0-9a-f]{16}\b")


def memo_of(intent_id: str) -> Instruction:
    """Return a memo for a new order of an intent."""
    text = f"cto {digest_of(intent_id)} {secrets.token_hex(8)}"
    return Instruction(MEMO_PROGRAM, text.encode(), [])


def digest_of(intent_id: str) -> str:
    """Return the digest by which the chain names an intent: 32 hexadecimal digits."""
    return hashlib.blake2b(intent_id.encode(), digest_size=16, person=b"cto intent").hexdigest()


def digest_in(memo: str | None) -> str | None:
    """Return the digest in a transaction's memos, in the form of ``getSignaturesForAddress``.

    Our memo is the last one. ``None``: the transaction is no order of ours.
    """
    found = _MEMO.findall(memo or "")
    return found[-1] if found else None
