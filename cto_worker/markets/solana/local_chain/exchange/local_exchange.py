"""The local exchange: a swap needs no program of its own, only SPL Token.

For each quote the exchange funds one token account and approves the buyer as its delegate. The buyer's
transaction pays wrapped SOL and takes the tokens in one instruction. When the price moves beyond the limit of
the quote, the exchange revokes the approval in the next block, so that a late buy fails on the chain. A quote
ends with its blockhash; the exchange then takes the tokens back.

The approval alone does not force the buyer to pay. That is enough for play money, and for no other.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import CreateAccountWithSeedParams, create_account_with_seed
from solders.transaction import VersionedTransaction

from cto_worker.markets.solana import token_program
from cto_worker.markets.solana.local_chain.blocks import CONFIRMED_DEPTH, VALID_BLOCKS, Block
from cto_worker.markets.solana.local_chain.exchange.price_curve import PriceCurve
from cto_worker.markets.solana.local_chain.genesis import DEMO_TOKENS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from solders.instruction import Instruction

    from cto_worker.markets.solana.local_chain.chain import Chain
    from cto_worker.markets.solana.local_chain.chain_database import Receipt

MAX_QUOTES = 5_000  # open at the same time
_SCHEMA = """
CREATE TABLE IF NOT EXISTS curves (mint BLOB PRIMARY KEY, reserve INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS quotes (
    account BLOB PRIMARY KEY, mint BLOB, taker BLOB, lamports INTEGER, tokens INTEGER, minimum INTEGER,
    blockhash BLOB, last_valid_height INTEGER, revoked INTEGER
) WITHOUT ROWID;
"""


@dataclass(slots=True)
class Quote:
    """An offer to one buyer. ``account`` holds the tokens."""

    account: Pubkey
    mint: Pubkey
    taker: Pubkey
    lamports: int
    tokens: int  # base units
    minimum: int  # the quote is revoked if the price gives fewer
    blockhash: bytes
    last_valid_height: int
    revoked: bool = False


class NoQuoteError(Exception):
    """The exchange makes no quote. ``code`` is that of the aggregator's interface."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class LocalExchange:
    """Implements :class:`~cto_worker.markets.solana.local_chain.chain.Participant`."""

    def __init__(self, chain: Chain, step_ppm: int) -> None:
        self._chain = chain
        self.step_ppm = step_ppm  # largest movement of a reserve per block, in millionths
        self._key = chain.genesis.exchange
        self._address = self._key.pubkey()
        self.vault = token_program.associated_account(self._address, token_program.WRAPPED_SOL)
        self._funding: list[tuple[str, Quote, asyncio.Future[None]]] = []
        self._begun: list[tuple[Quote, asyncio.Future[None]]] = []
        self._changed: dict[Pubkey, Quote | None] = {}  # since the last block; None: ended
        chain.database.add_tables(_SCHEMA)
        stored = dict(chain.database.rows("SELECT mint, reserve FROM curves"))
        self.curves = {
            token.mint: PriceCurve(
                token.reserve_lamports * token.reserve_tokens,
                stored.get(bytes(token.mint), token.reserve_lamports),
            )
            for token in DEMO_TOKENS
        }
        rows = chain.database.rows("SELECT * FROM quotes ORDER BY last_valid_height")
        self._quotes = {quote.account: quote for quote in map(_stored, rows)}

    async def quote(self, mint: Pubkey, lamports: int, taker: Pubkey, slippage_bps: int) -> Quote:
        """Return a quote whose tokens the buyer can take. Waits for the block that funds it.

        Raises :class:`NoQuoteError`.
        """
        if mint not in self.curves:
            mints = ", ".join(str(token.mint) for token in DEMO_TOKENS)
            raise NoQuoteError(
                "TOKEN_NOT_TRADABLE", f"the local exchange does not sell {mint}: it sells {mints}"
            )
        if len(self._quotes) + len(self._funding) >= MAX_QUOTES:
            raise NoQuoteError("TOO_MANY_QUOTES", f"{MAX_QUOTES} quotes are open: try again later")
        tokens = self.curves[mint].tokens_for(lamports, promised=self._promised(mint))
        if not tokens:
            raise NoQuoteError("NO_ROUTES_FOUND", f"{lamports} lamports buy no unit of {mint}: buy for more")
        seed = secrets.token_hex(8)
        origin = self._chain.block_at(self._chain.tip.height - CONFIRMED_DEPTH)
        quote = Quote(
            Pubkey.create_with_seed(self._address, seed, token_program.TOKEN_PROGRAM),
            mint,
            taker,
            lamports,
            tokens,
            tokens * (10_000 - slippage_bps) // 10_000,
            bytes(origin.hash),
            origin.height + VALID_BLOCKS,
        )
        funded = asyncio.get_running_loop().create_future()
        self._funding.append((seed, quote, funded))
        await funded
        return quote

    def transactions(self) -> Iterator[VersionedTransaction]:
        """See :class:`~cto_worker.markets.solana.local_chain.chain.Participant`."""
        if self._chain.runtime.account(self.vault) is None:
            yield self._signed(
                token_program.open_associated(self._address, self._address, token_program.WRAPPED_SOL)
            )
        yield from self._ends()
        yield from self._revocations()
        for seed, quote, funded in self._funding:
            yield self._signed(*self._fund(seed, quote))
            self._begun.append((quote, funded))
        self._funding.clear()

    def executed(self, block: Block, receipts: Sequence[Receipt]) -> None:
        """See :class:`~cto_worker.markets.solana.local_chain.chain.Participant`."""
        del receipts
        for quote, _ in self._begun:
            self._quotes[quote.account] = self._changed[quote.account] = quote
        for number, curve in enumerate(self.curves.values()):
            curve.wander(bytes(block.hash)[number], self.step_ppm)

    def save(self, cursor: sqlite3.Cursor) -> None:
        """See :class:`~cto_worker.markets.solana.local_chain.chain.Participant`."""
        reserves = [(bytes(mint), curve.reserve) for mint, curve in self.curves.items()]
        cursor.executemany("INSERT OR REPLACE INTO curves VALUES (?, ?)", reserves)
        ended = [(bytes(account),) for account, quote in self._changed.items() if quote is None]
        cursor.executemany("DELETE FROM quotes WHERE account = ?", ended)
        cursor.executemany(
            "INSERT OR REPLACE INTO quotes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_row(quote) for quote in self._changed.values() if quote],
        )

    def committed(self) -> None:
        """See :class:`~cto_worker.markets.solana.local_chain.chain.Participant`."""
        self._changed.clear()
        for _, funded in self._begun:
            if not funded.done():  # the client may have gone
                funded.set_result(None)
        self._begun.clear()

    def _promised(self, mint: Pubkey) -> int:
        """Return the lamports of the open quotes for a token: a new quote expects that they execute."""
        asked = [quote for _, quote, _ in self._funding]
        valid = [quote for quote in self._quotes.values() if not quote.revoked]
        return sum(quote.lamports for quote in [*valid, *asked] if quote.mint == mint)

    def _ends(self) -> Iterator[VersionedTransaction]:
        """End the quotes whose tokens were taken, and those that expired."""
        height = self._chain.tip.height
        for quote in list(self._quotes.values()):
            left = self._tokens_left(quote)
            if left and height <= quote.last_valid_height:
                continue
            if not left:
                self.curves[quote.mint].buy(quote.lamports)
            self._changed[quote.account] = None
            del self._quotes[quote.account]
            burn = [token_program.burn(quote.account, quote.mint, self._address, left)] if left else []
            yield self._signed(
                *burn, token_program.close_account(quote.account, self._address, self._address)
            )

    def _revocations(self) -> Iterator[VersionedTransaction]:
        """Revoke the quotes whose limit the price has passed. Older quotes count as executed."""
        promised = dict.fromkeys(self.curves, 0)
        for quote in self._quotes.values():
            if quote.revoked:
                continue
            tokens = self.curves[quote.mint].tokens_for(quote.lamports, promised=promised[quote.mint])
            if tokens < quote.minimum:
                quote.revoked = True
                self._changed[quote.account] = quote
                yield self._signed(token_program.revoke(quote.account, self._address))
            else:
                promised[quote.mint] += quote.lamports

    def _tokens_left(self, quote: Quote) -> int:
        account = self._chain.runtime.account(quote.account)
        held = token_program.token_account(account.data) if account else None
        return held.amount if held else 0

    def _fund(self, seed: str, quote: Quote) -> list[Instruction]:
        size = token_program.ACCOUNT_BYTES
        parameters = CreateAccountWithSeedParams(
            from_pubkey=self._address,
            to_pubkey=quote.account,
            base=self._address,
            seed=seed,
            lamports=self._chain.runtime.rent_exemption(size),
            space=size,
            owner=token_program.TOKEN_PROGRAM,
        )
        return [
            create_account_with_seed(parameters),
            token_program.initialize_account(quote.account, quote.mint, self._address),
            token_program.mint_to(quote.mint, quote.account, self._address, quote.tokens),
            token_program.approve(quote.account, quote.taker, self._address, quote.tokens),
        ]

    def _signed(self, *instructions: Instruction) -> VersionedTransaction:
        message = MessageV0.try_compile(self._address, instructions, [], self._chain.tip.hash)
        return VersionedTransaction(message, [self._key])


def _stored(row: tuple[Any, ...]) -> Quote:
    account, mint, taker, *rest = row
    return Quote(Pubkey(account), Pubkey(mint), Pubkey(taker), *rest)


def _row(quote: Quote) -> tuple[Any, ...]:
    return (
        bytes(quote.account),
        bytes(quote.mint),
        bytes(quote.taker),
        quote.lamports,
        quote.tokens,
        quote.minimum,
        quote.blockhash,
        quote.last_valid_height,
        quote.revoked,
    )
