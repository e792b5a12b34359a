"""Preparation: fund check, offer, message, checks, simulation, and signature. No money moves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from solders.message import MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from cto_worker.domain.market_port import Buy, Order, Rejection, Transfer
from cto_worker.errors import MarketError, OrderRejectedError, SignerError, SignerRefusedError
from cto_worker.markets.solana import token_program
from cto_worker.markets.solana.orders.funds import Funds, Rent
from cto_worker.markets.solana.orders.messages import (
    MAX_TRANSACTION_BYTES,
    buy_message,
    transfer_message,
    unsigned,
)
from cto_worker.markets.solana.rpc_client import NoAnswerError
from cto_worker.markets.solana.swap_check import Holdings, SwapBounds, check_message, check_simulation
from cto_worker.markets.solana.tradable_token import TradableToken, read_token
from cto_worker.signer.protocol import MAX_MESSAGES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from cto_worker.markets.solana.aggregator import Aggregator
    from cto_worker.markets.solana.chain_reader import Blockhash, ChainReader
    from cto_worker.markets.solana.cluster import Cluster
    from cto_worker.markets.solana.orders.block_time import BlockTime
    from cto_worker.markets.solana.swap_offer import SwapOffer
    from cto_worker.signer.client import SignerClient

_MAX_BPS = 10_000
_TIGHTER_BPS = 50  # the second quote may be lower than the first by this without missing the limit
_SIMULATIONS = 5  # until the wallet does not change meanwhile


@dataclass(frozen=True, slots=True)
class _Batch:
    """The facts that the orders of one batch share."""

    genesis_hash: str
    recent: Blockhash
    token: TradableToken | None


@dataclass(frozen=True, slots=True)
class _Draft:
    """A checked message that is not signed yet."""

    intent: Transfer | Buy
    message: MessageV0
    min_tokens: int = 0


class OrderPreparation:
    """Prepares the orders of one operation."""

    def __init__(  # noqa: PLR0913, PLR0917 - the services that it uses
        self,
        reader: ChainReader,
        cluster: Cluster,
        aggregator: Aggregator,
        signer: SignerClient,
        block_time: BlockTime,
        executor: Executor,
    ) -> None:
        self._reader = reader
        self._cluster = cluster
        self._aggregator = aggregator
        self._signer = signer
        self._block_time = block_time
        self._executor = executor

    def prepare(self, intents: Sequence[Transfer | Buy]) -> list[Order | Rejection]:
        """See :meth:`cto_worker.domain.market_port.Market.prepare`.

        The blockhash is older than each quote, so that an order does not outlive its quote.
        """
        genesis_hash, recent = self._cluster.genesis_hash(), self._reader.latest_blockhash()
        self._block_time.note(recent.last_valid_block_height)
        mint = next((intent.token_address for intent in intents if isinstance(intent, Buy)), "")
        try:
            token = read_token(self._reader, mint) if mint else None
        except OrderRejectedError as rejection:
            return [Rejection(rejection.code, str(rejection))] * len(intents)
        batch = _Batch(genesis_hash, recent, token)
        funds = self._funds(intents, token)
        reserved = [_reserved(funds, intent) for intent in intents]
        drafts = list(
            self._executor.map(lambda pair: self._draft(batch, *pair), zip(intents, reserved, strict=True))
        )
        return self._signed(batch, intents[0].user_id, drafts)

    def rent(self, token: TradableToken | None) -> Rent:
        """Return the rent of the accounts that an operation needs."""
        wrapped = self._reader.rent_exemption(token_program.ACCOUNT_BYTES)
        own = token and token.account_bytes != token_program.ACCOUNT_BYTES
        return Rent(
            wallet=self._reader.rent_exemption(0),
            wrapped_sol=wrapped,
            token=self._reader.rent_exemption(token.account_bytes) if token and own else wrapped,
        )

    def _funds(self, intents: Sequence[Transfer | Buy], token: TradableToken | None) -> Funds:
        wallets = {each for intent in intents for each in _wallets(intent)}
        accounts = {token.account_of(wallet): wallet for wallet in wallets} if token else {}
        found = self._reader.accounts([*wallets, *accounts])
        return Funds(
            {wallet: found[wallet].lamports if wallet in found else 0 for wallet in wallets},
            {wallet for account, wallet in accounts.items() if account in found},
            self.rent(token),
        )

    def _draft(self, batch: _Batch, intent: Transfer | Buy, reserved: int | Rejection) -> _Draft | Rejection:
        if isinstance(reserved, Rejection):
            return reserved
        try:
            draft = (
                self._draft_transfer(batch, intent)
                if isinstance(intent, Transfer)
                else self._draft_buy(batch, intent, reserved)
            )
        except OrderRejectedError as rejection:
            return Rejection(rejection.code, str(rejection))
        size = len(unsigned(draft.message))
        if size > MAX_TRANSACTION_BYTES:
            return Rejection(
                "transaction_too_large", f"the transaction has {size} bytes, above {MAX_TRANSACTION_BYTES}"
            )
        return draft

    def _draft_transfer(self, batch: _Batch, intent: Transfer) -> _Draft:
        message = transfer_message(intent, batch.recent.blockhash)
        error = self._reader.simulate(unsigned(message), [intent.source]).get("err")
        if error is not None:
            raise OrderRejectedError("insufficient_funds", f"the transfer would fail: {error}")
        return _Draft(intent, message)

    def _draft_buy(self, batch: _Batch, intent: Buy, most_lamports: int) -> _Draft:
        token = batch.token
        assert token  # noqa: S101 - for the type checker; the batch has a buy
        offer = self._offer(intent)
        least = intent.min_tokens or offer.minimum
        bounds = SwapBounds(intent.wallet, most_lamports, least)
        message = buy_message(intent, offer, batch.recent.blockhash)
        check_message(message, bounds)
        self._check_effect(message, token, bounds)
        return _Draft(intent, message, least)

    def _offer(self, intent: Buy) -> SwapOffer:
        """Return an offer whose limit is that of the intent.

        The aggregator derives the limit from a quote. To get that of an earlier order, the slippage is
        chosen for it; the limit is then met, and at most a little stricter.
        """
        mint, lamports, least = intent.token_address, intent.lamports, intent.min_tokens
        offer = self._aggregator.offer(mint, lamports, intent.wallet, intent.slippage_bps)
        if offer.minimum < least <= offer.tokens:
            slippage_bps = max(0, (offer.tokens - least) * _MAX_BPS // offer.tokens - _TIGHTER_BPS)
            offer = self._aggregator.offer(mint, lamports, intent.wallet, slippage_bps)
        if offer.minimum < least:
            raise OrderRejectedError(
                "slippage_exceeded",
                f"the quote is {offer.tokens} base units, and the limit of the first order is {least}",
            )
        return offer

    def _check_effect(self, message: MessageV0, token: TradableToken, bounds: SwapBounds) -> None:
        """Simulate a swap, and check it. The wallet must be the same before and after the simulation."""
        accounts = [bounds.wallet, token.account_of(bounds.wallet)]
        before = self._holdings(accounts)
        for _ in range(_SIMULATIONS):
            simulation = self._reader.simulate(unsigned(message), accounts)
            after = self._holdings(accounts)
            if after == before:
                check_simulation(message, simulation, before, bounds)
                return
            before = after
        raise NoAnswerError(f"the wallet {bounds.wallet} changes too often to simulate a swap")

    def _holdings(self, accounts: list[str]) -> Holdings:
        wallet, tokens = map(self._reader.accounts(accounts).get, accounts)
        held = token_program.token_account(tokens.data) if tokens else None
        return Holdings(wallet.lamports if wallet else 0, held.amount if held else 0)

    def _signed(
        self, batch: _Batch, user_id: str, drafts: Sequence[_Draft | Rejection]
    ) -> list[Order | Rejection]:
        waiting = [draft for draft in drafts if isinstance(draft, _Draft)]
        messages = [(_payer(draft.intent), to_bytes_versioned(draft.message)) for draft in waiting]
        answers: list[bytes | SignerRefusedError] = []
        try:
            for start in range(0, len(messages), MAX_MESSAGES):
                answers += self._signer.sign_all(messages[start : start + MAX_MESSAGES], user_id=user_id)
        except SignerError as error:
            raise MarketError(str(error)) from error
        orders = (_order(batch, *pair) for pair in zip(waiting, answers, strict=True))
        return [draft if isinstance(draft, Rejection) else next(orders) for draft in drafts]


def _reserved(funds: Funds, intent: Transfer | Buy) -> int | Rejection:
    try:
        return funds.reserve(intent)
    except OrderRejectedError as rejection:
        return Rejection(rejection.code, str(rejection))


def _order(batch: _Batch, draft: _Draft, answer: bytes | SignerRefusedError) -> Order | Rejection:
    """Return the order with a signature, which is verified."""
    if isinstance(answer, SignerRefusedError):
        return Rejection(answer.code, f"the signer refuses the order: {answer}")
    signature, payer = Signature.from_bytes(answer), Pubkey.from_string(_payer(draft.intent))
    if not signature.verify(payer, to_bytes_versioned(draft.message)):
        raise MarketError(f"the signer returned a signature that is not of {payer}")
    mint = draft.intent.token_address if isinstance(draft.intent, Buy) else ""
    return Order(
        draft.intent.intent_id,
        str(signature),
        bytes(VersionedTransaction.populate(draft.message, [signature])),
        draft.min_tokens,
        batch.recent.last_valid_block_height,
        json.dumps({"genesis": batch.genesis_hash, "slot": batch.recent.slot, "mint": mint}),
    )


def _payer(intent: Transfer | Buy) -> str:
    return intent.source if isinstance(intent, Transfer) else intent.wallet


def _wallets(intent: Transfer | Buy) -> tuple[str, ...]:
    return (intent.source, intent.destination) if isinstance(intent, Transfer) else (intent.wallet,)
