"""The market `solana`: signed transactions on a cluster, swaps through an aggregator, keys in the signer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cto_worker.domain.market_port import Account
from cto_worker.errors import MarketError, OrderRejectedError, SignerError, SignerRefusedError
from cto_worker.markets.solana.cluster import MAINNET
from cto_worker.markets.solana.local_chain.genesis import GENESIS_PREFIX
from cto_worker.markets.solana.orders.block_time import BlockTime
from cto_worker.markets.solana.orders.funds import first_buy_costs
from cto_worker.markets.solana.orders.messages import BASE_FEE_LAMPORTS, TRANSFER_FEE_LAMPORTS
from cto_worker.markets.solana.orders.preparation import OrderPreparation
from cto_worker.markets.solana.orders.tracking import OrderTracking
from cto_worker.markets.solana.strategies import platform_of, strategy_of
from cto_worker.markets.solana.tradable_token import read_token

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cto_worker.domain.market_port import Buy, Order, Outcome, Rejection, Strategy, Transfer
    from cto_worker.markets.solana.aggregator import Aggregator
    from cto_worker.markets.solana.chain_reader import ChainReader
    from cto_worker.markets.solana.cluster import Cluster
    from cto_worker.signer.client import SignerClient

THREADS = 32  # requests of one process at the same time
_PROBE_LAMPORTS = 1_000_000  # of the offer whose route shows the platform
_NOBODY = "doctor"  # a user id, to ask the signer whether it answers


class SolanaMarket:
    """Implements :class:`cto_worker.domain.market_port.Market`."""

    def __init__(
        self, reader: ChainReader, cluster: Cluster, aggregator: Aggregator, signer: SignerClient
    ) -> None:
        self.description = cluster.description
        self._reader = reader
        self._cluster = cluster
        self._aggregator = aggregator
        self._signer = signer
        self._block_time = BlockTime()
        executor = ThreadPoolExecutor(THREADS, "solana")
        self._preparation = OrderPreparation(reader, cluster, aggregator, signer, self._block_time, executor)
        self._tracking = OrderTracking(reader, executor)

    @property
    def patience_s(self) -> float:
        """See :class:`cto_worker.domain.market_port.Market`. Follows the time that blocks take."""
        return self._block_time.order_life_s

    def check(self) -> str:
        """See :meth:`cto_worker.domain.market_port.Market.check`."""
        genesis = self._cluster.genesis_hash()
        recent = self._reader.latest_blockhash()
        with _signer_errors():
            self._signer.addresses(_NOBODY)
        if genesis.startswith(GENESIS_PREFIX):
            what = "a local chain, whose SOL is worth nothing"
        else:
            what = "MAINNET, where orders spend real money" if genesis == MAINNET else "a cluster"
        return (
            f"solana: {what}, genesis hash {genesis}, slot {recent.slot}, "
            f"{self._reader.provider_count} providers, swaps through {self._aggregator.host}; "
            "the signer answers"
        )

    def account(self, user_id: str, wallet_count: int) -> Account:
        """See :meth:`cto_worker.domain.market_port.Market.account`. The signer creates missing wallets."""
        with _signer_errors():
            funding, *wallets = self._signer.open_wallets(user_id, wallet_count)
        lamports = self._reader.balances([funding, *wallets])
        return Account(funding, lamports[funding], {wallet: lamports[wallet] for wallet in wallets})

    def detect(self, token_address: str) -> Strategy:
        """See :meth:`cto_worker.domain.market_port.Market.detect`. The mint is checked on the chain."""
        token = read_token(self._reader, token_address)
        strategy = strategy_of("other")
        offer = self._aggregator.offer(token.mint, _PROBE_LAMPORTS, token.mint, strategy.slippage_bps)
        return strategy_of(platform_of(offer.labels))

    def strategy(self, platform: str) -> Strategy:
        """See :meth:`cto_worker.domain.market_port.Market.strategy`."""
        return strategy_of(platform)

    def transfer_fee(self) -> int:
        """See :meth:`cto_worker.domain.market_port.Market.transfer_fee`."""
        return TRANSFER_FEE_LAMPORTS

    def buy_fee(self, strategy: Strategy) -> int:
        """See :meth:`cto_worker.domain.market_port.Market.buy_fee`."""
        return BASE_FEE_LAMPORTS + strategy.priority_fee_lamports

    def account_costs(
        self,
        strategy: Strategy,  # noqa: ARG002 - the rent is the same on each platform
        token_address: str,
        wallets: Sequence[str],
    ) -> Mapping[str, int]:
        """See :meth:`cto_worker.domain.market_port.Market.account_costs`."""
        token = read_token(self._reader, token_address)
        accounts = {wallet: token.account_of(wallet) for wallet in wallets}
        lamports = self._reader.balances([*wallets, *accounts.values()])
        with_account = {wallet for wallet, account in accounts.items() if lamports[account]}
        held = {wallet: lamports[wallet] for wallet in wallets}
        return first_buy_costs(held, with_account, self._preparation.rent(token))

    def prepare(self, intents: Sequence[Transfer | Buy]) -> list[Order | Rejection]:
        """See :meth:`cto_worker.domain.market_port.Market.prepare`."""
        return self._preparation.prepare(intents)

    def submit(self, orders: Sequence[Order]) -> None:
        """See :meth:`cto_worker.domain.market_port.Market.submit`."""
        self._tracking.submit(orders)

    def outcomes(self, orders: Sequence[Order], *, wait_s: float) -> Mapping[str, Outcome]:
        """See :meth:`cto_worker.domain.market_port.Market.outcomes`."""
        return self._tracking.outcomes(orders, wait_s=wait_s)


@contextmanager
def _signer_errors() -> Iterator[None]:
    try:
        yield
    except SignerRefusedError as refusal:
        raise OrderRejectedError(refusal.code, str(refusal)) from refusal
    except SignerError as error:
        raise MarketError(str(error)) from error
