"""The plan of an operation: which transfers and buys it takes, and what they need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cto_worker.domain.events import Mode
from cto_worker.domain.market import Buy, Transfer
from cto_worker.domain.money import split_evenly, to_sol
from cto_worker.errors import OrderRejectedError

if TYPE_CHECKING:
    from cto_worker.domain.market import Account, Market, Strategy
    from cto_worker.domain.request import OperationRequest

MAX_BUYS = 100  # in one operation; bounds its events, and the signatures each of them carries


@dataclass(frozen=True, slots=True)
class Step:
    """One transfer or buy, and its name for people."""

    intent: Transfer | Buy
    wallet: str  # the operation wallet it is for
    description: str  # e.g. "Buying with wallet 3 of 5"


@dataclass(frozen=True, slots=True)
class Plan:
    """Every step in order, and what each wallet must hold before the first, in lamports."""

    steps: list[Step]
    needs: dict[str, int]

    @property
    def buys(self) -> int:
        """How many buys it takes."""
        return sum(isinstance(step.intent, Buy) for step in self.steps)

    @property
    def wallets(self) -> tuple[str, ...]:
        """The wallets that are to buy, each once, in order."""
        return tuple(dict.fromkeys(step.wallet for step in self.steps))


def make_plan(
    job_id: str, request: OperationRequest, account: Account, strategy: Strategy, market: Market
) -> Plan:
    """Share the amount among the wallets, and each share among as many orders as the strategy wants.

    Raises :class:`OrderRejectedError` ``wallet_not_owned``, or ``order_too_large`` when that would take more
    than :data:`MAX_BUYS` buys.
    """
    wallets = _select_wallets(request, account)
    buys: list[Step] = []
    needs: dict[str, int] = {}
    for place, (wallet, share) in enumerate(
        zip(wallets, split_evenly(request.buy_lamports, len(wallets)), strict=True), 1
    ):
        orders = -(-share // strategy.max_order_lamports)
        _check_size(request, strategy, orders * len(wallets))
        needs[wallet] = share + orders * market.buy_fee(strategy)
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
    """Return ``transfer`` or ``buy``, which the id of each intent that is planned here ends with."""
    return intent_id.rpartition(":")[2].partition(".")[0]


def check_funds(plan: Plan, account: Account) -> None:
    """Raise :class:`OrderRejectedError` ``insufficient_funds`` unless every wallet holds what it needs."""
    balances = {account.funding_wallet: account.funding_lamports, **account.wallets}
    for wallet, lamports in plan.needs.items():
        if balances[wallet] < lamports:
            kind = "funding wallet" if wallet == account.funding_wallet else "wallet"
            raise OrderRejectedError(
                "insufficient_funds",
                f"{kind} {wallet} holds {to_sol(balances[wallet]):.9g} SOL, "
                f"but its part with fees is {to_sol(lamports):.9g} SOL",
            )


def _select_wallets(request: OperationRequest, account: Account) -> list[str]:
    if request.wallets is None:
        return list(account.wallets)[: request.buyers]
    for wallet in request.wallets:
        if wallet not in account.wallets:
            raise OrderRejectedError(
                "wallet_not_owned", f"{wallet} is no operation wallet of user {request.user_id}"
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
        largest = to_sol(strategy.max_order_lamports)
        raise OrderRejectedError(
            "order_too_large",
            f"{request.buy_amount:g} SOL in orders of at most {largest:g} SOL on {strategy.platform} "
            f"would take more than {MAX_BUYS} buys: spend less",
        )
