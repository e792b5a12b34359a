"""Deposits to paper wallets, and the reset of the whole paper market. Both are entries of its ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cto_worker.domain.lamports import to_lamports, to_sol
from cto_worker.errors import CtoError
from cto_worker.markets.paper import ledger
from cto_worker.markets.paper.market import PaperMarket, address
from cto_worker.store import keys
from cto_worker.store.script_runner import Script

if TYPE_CHECKING:
    from redis import Redis

    from cto_worker.config import Settings

HIGHEST_LAMPORTS = 2**52  # of a wallet; below 2^53, to which the scripts' numbers are exact
_NO_WALLET, _TOO_HIGH = -1, -2


class DepositError(CtoError):
    """A deposit is not possible. Nothing was written."""


def deposit(store: Redis, settings: Settings, user_id: str, lamports: int, wallet: str = "") -> int:
    """Add lamports to a wallet of a user, by default the funding wallet. Return its new balance in lamports.

    Opens the funding wallet of a new user. Raises :class:`DepositError`.
    """
    PaperMarket(store, settings).account(user_id, 0)
    wallet = wallet or address(user_id, 0)
    balance = Script(store, "deposit", __package__)(
        wallets=keys.paper_wallets(user_id),
        user=user_id,
        address=wallet,
        lamports=lamports,
        highest=HIGHEST_LAMPORTS,
    )
    if balance == _NO_WALLET:
        raise DepositError(
            f"{user_id} has no wallet {wallet}: `cto market wallets --user {user_id}` lists them"
        )
    if balance == _TOO_HIGH:
        raise DepositError(f"a paper wallet can hold at most {to_sol(HIGHEST_LAMPORTS):,.0f} SOL")
    return int(balance)


def reset(store: Redis, settings: Settings) -> int:
    """Give every wallet the paper balance, take back all tokens, and start all curves anew, in one step.

    Past entries stay in the ledger. Returns the number of new entries.
    """
    entries = ledger.entries(store)
    users = sorted({entry.user_id for entry in entries if entry.user_id})
    arguments = [text for user in users for text in (user, keys.paper_wallets(user), keys.paper_tokens(user))]
    arguments += [text for mint in ledger.mints(entries) for text in (mint, keys.paper_curve(mint))]
    added = Script(store, "reset", __package__)(
        arguments, lamports=to_lamports(settings.paper_balance_sol), user_count=len(users)
    )
    return int(added)
