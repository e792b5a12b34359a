"""Methods about accounts. Their state is always that of the latest block, whatever the commitment level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from solders.pubkey import Pubkey

from cto_worker.markets.solana import token_program
from cto_worker.markets.solana.local_chain.rpc.documents import account_document
from cto_worker.markets.solana.local_chain.rpc.request import address
from cto_worker.markets.solana.local_chain.rpc.rpc_error import INVALID_PARAMS, RpcError
from cto_worker.markets.solana.local_chain.runtime import token_amount

if TYPE_CHECKING:
    from solders.account import Account

    from cto_worker.markets.solana.local_chain.rpc.request import Request

_MAX_ACCOUNTS = 100


def get_balance(request: Request) -> Any:
    """Return the lamports of an account."""
    wanted = request.address(0)
    request.block()
    return request.answer(request.chain.runtime.lamports(wanted))


def get_account_info(request: Request) -> Any:
    """Return an account, ``null`` if it does not exist."""
    wanted = request.address(0)
    request.block()
    return request.answer(_document(request, wanted))


def get_multiple_accounts(request: Request) -> Any:
    """Return several accounts."""
    wanted = request.parameter(0, list)
    if len(wanted) > _MAX_ACCOUNTS:
        raise RpcError(
            INVALID_PARAMS, f"{len(wanted)} addresses are too many: ask for {_MAX_ACCOUNTS} at most"
        )
    request.block()
    return request.answer([_document(request, address(each)) for each in wanted])


def get_token_accounts_by_owner(request: Request) -> Any:
    """Return the token accounts of a wallet, for one token or for one token program."""
    owner, wanted = request.address(0), request.parameter(1, dict)
    column = {"mint": "mint", "programId": "owner"}
    if len(wanted) != 1 or not wanted.keys() <= column.keys():
        raise RpcError(INVALID_PARAMS, f'the filter is {wanted!r}: give {{"mint": …}} or {{"programId": …}}')
    ((name, text),) = wanted.items()
    query = f"SELECT address FROM accounts WHERE token_owner = ? AND {column[name]} = ? ORDER BY address"  # noqa: S608
    rows = request.chain.database.rows(query, (bytes(owner), bytes(address(text))))
    request.block()
    addresses = [Pubkey(row[0]) for row in rows]
    return request.answer([{"pubkey": str(each), "account": _document(request, each)} for each in addresses])


def get_token_account_balance(request: Request) -> Any:
    """Return the amount in a token account."""
    account = request.chain.runtime.account(request.address(0))
    entry = request.chain.runtime.token_balance(0, account)
    if entry is None:
        raise RpcError(INVALID_PARAMS, "Invalid param: could not find account")
    return request.answer(entry["uiTokenAmount"])


def get_token_supply(request: Request) -> Any:
    """Return the supply of a token."""
    account = request.chain.runtime.account(request.address(0))
    if account is None or account.owner not in token_program.TOKEN_PROGRAMS:
        raise RpcError(INVALID_PARAMS, "Invalid param: could not find mint")
    supply = token_program.mint_supply(account.data)
    return request.answer(token_amount(supply, token_program.mint_decimals(account.data)))


def _document(request: Request, wanted: Pubkey) -> dict[str, Any] | None:
    account: Account | None = request.chain.runtime.account(wanted)
    return account_document(account, request.config(), request.chain.runtime) if account else None
