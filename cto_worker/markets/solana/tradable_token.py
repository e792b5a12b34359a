"""The token that an operation buys, as far as the market supports it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from solders.pubkey import Pubkey

from cto_worker.errors import OrderRejectedError
from cto_worker.markets.solana.token_program import (
    ACCOUNT_BYTES,
    MINT_BYTES,
    TOKEN_2022_PROGRAM,
    TOKEN_PROGRAM,
    associated_account,
)

if TYPE_CHECKING:
    from cto_worker.markets.solana.chain_reader import ChainReader

# Sizes of a wallet's account. That of Token-2022 has the extension that makes its owner immutable.
_ACCOUNT_BYTES = {TOKEN_PROGRAM: ACCOUNT_BYTES, TOKEN_2022_PROGRAM: ACCOUNT_BYTES + 5}


@dataclass(frozen=True, slots=True)
class TradableToken:
    """A mint without extensions, of SPL Token or Token-2022."""

    mint: str
    program: Pubkey

    @property
    def account_bytes(self) -> int:
        """The size of a wallet's account for this token."""
        return _ACCOUNT_BYTES[self.program]

    def account_of(self, wallet: str) -> str:
        """Return the address of a wallet's account for this token."""
        return str(
            associated_account(Pubkey.from_string(wallet), Pubkey.from_string(self.mint), self.program)
        )


def read_token(reader: ChainReader, mint: str) -> TradableToken:
    """Return the token at an address.

    Raises :class:`OrderRejectedError` ``token_not_tradable``. Extensions of Token-2022 are refused, because
    some of them take a fee from each transfer, or let others freeze or move the tokens.
    """
    account = reader.accounts([mint]).get(mint)
    program = Pubkey.from_string(account.owner) if account else None
    if account is None or program not in _ACCOUNT_BYTES:
        raise OrderRejectedError("token_not_tradable", f"there is no token {mint} on this cluster")
    if len(account.data) != MINT_BYTES:
        raise OrderRejectedError(
            "token_not_tradable", f"{mint} is no mint, or has extensions, which are not supported"
        )
    return TradableToken(mint, program)
