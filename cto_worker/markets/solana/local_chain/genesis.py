"""The identity of a local chain, and its first accounts.

The genesis hash begins with ``LocaLChain``, and the rest is random, so no chain is mistaken for another. The
keys of the faucet and of the exchange derive from the chain's own random seed. The mints of the demo tokens
have the same addresses on each local chain.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from solders.account import Account
from solders.hash import Hash
from solders.keypair import Keypair
from solders.system_program import ID as SYSTEM_PROGRAM

from cto_worker.domain.lamports import LAMPORTS_PER_SOL
from cto_worker.markets.solana import token_program
from cto_worker.markets.solana.local_chain import lookup_table

if TYPE_CHECKING:
    from solders.pubkey import Pubkey

GENESIS_PREFIX = "LocaLChain"
_GENESIS_LENGTH = 43  # base58 text of this length with the prefix decodes to 32 bytes
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_FAUCET_SOL = 500_000_000
_EXCHANGE_SOL = 10_000_000
_RENT_LAMPORTS = 10_000_000  # more than the rent of a mint or of the lookup table
DEMO_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class DemoToken:
    """A token that the local exchange sells. ``label`` is the name of the exchange in routes."""

    label: str
    mint: Pubkey
    reserve_lamports: int  # of its bonding curve at the start
    reserve_tokens: int  # base units


def _demo_token(label: str, reserve_sol: int, reserve_tokens: int) -> DemoToken:
    mint = Keypair.from_seed(hashlib.sha256(f"demo token of the local chain: {label}".encode()).digest())
    return DemoToken(label, mint.pubkey(), reserve_sol * LAMPORTS_PER_SOL, reserve_tokens * 10**DEMO_DECIMALS)


DEMO_TOKENS = (
    _demo_token("Pump.fun", 1_000, 1_000_000_000),
    _demo_token("Raydium Launchlab", 2_000, 800_000_000),
    _demo_token("Raydium CP", 50_000, 25_000_000),
)


@dataclass(frozen=True, slots=True)
class Genesis:
    """The identity of a chain. ``seed`` is secret, but guards play money only."""

    hash: Hash
    seed: bytes

    @classmethod
    def new(cls) -> Genesis:
        """Return a new identity."""
        rest = _GENESIS_LENGTH - len(GENESIS_PREFIX)
        text = GENESIS_PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(rest))
        return cls(Hash.from_string(text), secrets.token_bytes(32))

    def key(self, purpose: str) -> Keypair:
        """Return the key with which the chain signs its own transactions for a purpose."""
        return Keypair.from_seed(hashlib.sha256(self.seed + purpose.encode()).digest())

    @property
    def faucet(self) -> Keypair:
        """The key of the faucet."""
        return self.key("faucet")

    @property
    def exchange(self) -> Keypair:
        """The key of the exchange, which creates the demo tokens."""
        return self.key("exchange")

    @property
    def lookup_table(self) -> Pubkey:
        """The address of the exchange's lookup table."""
        return self.key("lookup table").pubkey()

    @property
    def lookup_addresses(self) -> list[Pubkey]:
        """The addresses in that table, which every swap needs."""
        sol = token_program.WRAPPED_SOL
        vault = token_program.associated_account(self.exchange.pubkey(), sol)
        return [SYSTEM_PROGRAM, token_program.TOKEN_PROGRAM, sol, vault, *(each.mint for each in DEMO_TOKENS)]

    def accounts(self) -> dict[Pubkey, Account]:
        """Return the first accounts by address."""
        exchange = self.exchange.pubkey()
        mints = {token.mint: token_program.mint_data(exchange, DEMO_DECIMALS) for token in DEMO_TOKENS}
        mints[token_program.WRAPPED_SOL] = token_program.mint_data(None, token_program.SOL_DECIMALS)
        return {
            self.lookup_table: Account(
                _RENT_LAMPORTS, lookup_table.table_data(self.lookup_addresses), lookup_table.PROGRAM
            ),
            self.faucet.pubkey(): Account(_FAUCET_SOL * LAMPORTS_PER_SOL, b"", SYSTEM_PROGRAM),
            exchange: Account(_EXCHANGE_SOL * LAMPORTS_PER_SOL, b"", SYSTEM_PROGRAM),
            **{
                mint: Account(_RENT_LAMPORTS, data, token_program.TOKEN_PROGRAM)
                for mint, data in mints.items()
            },
        }
