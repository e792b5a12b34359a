"""The plan of an operation: its transfers and buys, and the funds that they need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cto_worker.domain.lamports import format_sol, split_evenly
from cto_worker.domain.market_port import Buy, Transfer
from cto_worker.domain.progress_event import Mode
from cto_worker.errors import OrderRejectedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cto_worker.domain.market_port import Account, Market, Strategy
    from cto_worker.domain.operation_request import OperationRequest

MAX_BUYS = 100  # per operation; limits the number of events and the signatures in each


@dataclass(frozen=True, slots=True)
class Step:
    """One transfer or buy, with a description for users."""

    intent: Transfer | Buy
    wallet: str  # the operation wallet it is for
    description: str  # e.g. "Buying with wallet 3 of 5"


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps in order, and the lamports that each wallet needs before the first step."""

    steps: list[Step]
    needs: dict[str, int]

    @property
    def buys(self) -> int:
        """The number of buys."""
        return sum(isinstance(step.intent, Buy) for step in self.steps)

    @property
    def wallets(self) -> tuple[str, ...]:
        """The wallets that buy, in order and without duplicates."""
        return tuple(dict.fromkeys(step.wallet for step in self.steps))


def make_plan(  # noqa: PLR0913 - what a plan depends on
    job_id: str,
    request: OperationRequest,
    account: Account,
    strategy: Strategy,
    market: Market,
    *,
    account_costs: Mapping[str, int] | None = None,
) -> Plan:
    """Return a plan that splits the amount evenly among the wallets, and each share into allowed orders.

    ``account_costs`` as in :meth:`Market.account_costs`; without it, the needs contain no such costs.

    Raises :class:`OrderRejectedError` ``wallet_not_owned``, or ``order_too_large`` if more than
    :data:`MAX_BUYS` buys would be needed.
    """
    wallets = select_wallets(request, account)
    buys: list[Step] = []
    needs: dict[str, int] = {}
    for place, (wallet, share) in enumerate(
        zip(wallets, split_evenly(request.buy_lamports, len(wallets)), strict=True), 1
    ):
        orders = -(-share // strategy.max_order_lamports)
        _check_size(request, strategy, orders * len(wallets))
        needs[wallet] = share + orders * market.buy_fee(strategy) + (account_costs or {}).get(wallet, 0)
        for number, lamports in enumerate(split_evenly(share, orders), 1):
            intent = Buy(
                intent_id=f"{job_id}:{wallet}:buy.{number}",
                user_id=request.user_id,
                wallet=wallet,
                token_address=request.token_address,
                lamports=lamports,
                slippage_bps=strategy.slippage_bps if request.slippage_bps is None else request.slippage_bps,
                priority_fee_lamports=strategy.priority_fee_lamports,
            )
            order = f", order {number} of {orders}" if orders > 1 else ""
            buys.append(Step(intent, wallet, f"Buying with wallet {place} of {len(wallets)}{order}"))
    if request.mode is Mode.PREFUNDED:
        return Plan(buys, needs)
    return Plan(
        [*_transfers(job_id, request, account, needs), *buys],
        {account.funding_wallet: sum(needs.values()) + len(needs) * market.transfer_fee()},
    )


def kind_of(intent_id: str) -> str:
    """Return the kind of an intent, ``transfer`` or ``buy``. Its id ends with it."""
    return intent_id.rpartition(":")[2].partition(".")[0]


def check_funds(plan: Plan, account: Account) -> None:
    """Raise :class:`OrderRejectedError` ``insufficient_funds`` unless every wallet has the funds it needs."""
    balances = {account.funding_wallet: account.funding_lamports, **account.wallets}
    for wallet, lamports in plan.needs.items():
        if balances[wallet] < lamports:
            kind = "funding wallet" if wallet == account.funding_wallet else "wallet"
            raise OrderRejectedError(
                "insufficient_funds",
                f"{kind} {wallet} holds {format_sol(balances[wallet])} SOL, "
                f"but needs {format_sol(lamports)} SOL with fees: deposit more, or lower buyAmount",
            )


def select_wallets(request: OperationRequest, account: Account) -> list[str]:
    """Return the wallets that buy. Raises :class:`OrderRejectedError` ``wallet_not_owned``."""
    if request.wallets is None:
        return list(account.wallets)[: request.buyers]
    for wallet in request.wallets:
        if wallet not in account.wallets:
            raise OrderRejectedError(
                "wallet_not_owned",
                f"{wallet} is not an operation wallet of user {request.user_id}: name the user's own wallets",
            )
    return list(request.wallets)


def _transfers(job_id: str, request: OperationRequest, account: Account, needs: dict[str, int]) -> list[Step]:
    return [
        Step(
            Transfer(
                intent_id=f"{job_id}:{wallet}:transfer",
                user_id=request.user_id,
                source=account.funding_wallet,
                destination=wallet,
                lamports=lamports,
            ),
            wallet,
            f"Distributing SOL to wallet {place} of {len(needs)}",
        )
        for place, (wallet, lamports) in enumerate(needs.items(), 1)
    ]


def _check_size(request: OperationRequest, strategy: Strategy, buys: int) -> None:
    if buys > MAX_BUYS:
        amount, largest = format_sol(request.buy_lamports), format_sol(strategy.max_order_lamports)
        raise OrderRejectedError(
            "order_too_large",
            f"{amount} SOL in orders of at most {largest} SOL on {strategy.platform} "
            f"would take more than {MAX_BUYS} buys: lower buyAmount",
        )
