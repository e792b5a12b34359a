"""The Solana runtime of the local chain: executes and simulates transactions in memory.

It is LiteSVM without its own checks of blockhashes and duplicates: LiteSVM knows only the latest blockhash,
and forgets duplicates after a few transactions. The chain checks both.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import base58
from solders.clock import Clock
from solders.litesvm import LiteSVM
from solders.signature import Signature
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata, SimulatedTransactionInfo

from cto_worker.markets.solana import token_program
from cto_worker.markets.solana.local_chain.transaction_accounts import (
    TransactionAccounts,
    accounts_of,
    supported,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from solders.account import Account
    from solders.message import Message, MessageV0
    from solders.pubkey import Pubkey
    from solders.transaction_metadata import TransactionMetadata

    from cto_worker.markets.solana.local_chain.blocks import Block


@dataclass(frozen=True, slots=True)
class Execution:
    """The effect of a transaction, in the form of the JSON-RPC interface."""

    fee: int  # lamports
    error: Any  # None: executed
    meta: dict[str, Any]
    addresses: list[Pubkey]
    changed: list[Pubkey]  # the writable accounts


class _Balances(NamedTuple):
    """The balances of a transaction's accounts. ``tokens`` has those of its writable token accounts."""

    lamports: list[int]
    tokens: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Simulation:
    """The effect that a transaction would have now."""

    error: Any
    logs: list[str]
    units: int
    fee: int
    return_data: dict[str, Any] | None
    accounts: dict[Pubkey, Account]  # the writable accounts afterwards; after an error none

    @classmethod
    def refused(cls, error: str) -> Simulation:
        """Return that a transaction cannot execute at all."""
        return cls(error, [], 0, 0, None, {})


class Runtime:
    """The state of all accounts, in memory. Not thread-safe."""

    def __init__(self, accounts: Iterable[tuple[Pubkey, Account]]) -> None:
        # Signatures are checked when a transaction arrives, because a simulation may have none.
        svm = LiteSVM().with_sigverify(False).with_blockhash_check(False).with_transaction_history(0)
        self._svm: LiteSVM = svm
        self._decimals: dict[Pubkey, int] = {}
        for address, account in accounts:
            self._svm.set_account(address, account)

    def begin_block(self, block: Block) -> None:
        """Set the clock that programs read."""
        self._svm.set_clock(Clock(block.slot, 0, 0, 0, block.time_s))

    def account(self, address: Pubkey) -> Account | None:
        """Return an account, or ``None`` if it does not exist."""
        account: Account | None = self._svm.get_account(address)
        return account if account and account.lamports else None

    def lamports(self, address: Pubkey) -> int:
        """Return the lamports of an account."""
        return self._svm.get_balance(address) or 0

    def rent_exemption(self, size: int) -> int:
        """Return the lamports that an account of ``size`` bytes must hold."""
        return int(self._svm.minimum_balance_for_rent_exemption(size))

    def accounts_of(self, transaction: VersionedTransaction) -> TransactionAccounts:
        """Return the accounts of a transaction. Raises ``LookupError``."""
        return accounts_of(supported(transaction.message), self._table_bytes)

    def execute(self, transaction: VersionedTransaction) -> Execution | None:
        """Execute a transaction. ``None``: it pays no fee, so no block contains it; nothing changed."""
        try:
            accounts = self.accounts_of(transaction)
        except LookupError:
            return None
        addresses = accounts.addresses
        before = self._balances(addresses, accounts.writable)
        result = self._svm.send_transaction(transaction)
        after = self._balances(addresses, accounts.writable)
        if isinstance(result, FailedTransactionMetadata):
            if before.lamports[0] == after.lamports[0]:
                return None
            metadata, error = result.meta(), error_of(result)
        else:
            metadata, error = result, None
        meta = _meta(metadata, error, accounts, before, after)
        changed = [addresses[index] for index in sorted(accounts.writable)]
        return Execution(metadata.fee(), error, meta, addresses, changed)

    def simulate(self, transaction: VersionedTransaction) -> Simulation:
        """Return what a transaction would do. Nothing changes; signatures are not checked."""
        result = self._svm.simulate_transaction(transaction)
        metadata = result.meta()
        returned = metadata.return_data()
        return Simulation(
            error=error_of(result) if isinstance(result, FailedTransactionMetadata) else None,
            logs=metadata.logs(),
            units=metadata.compute_units_consumed(),
            fee=metadata.fee(),
            return_data=_return_data(returned) if bytes(returned.data) else None,
            accounts=dict(result.post_accounts()) if isinstance(result, SimulatedTransactionInfo) else {},
        )

    def fee(self, message: Message | MessageV0) -> int:
        """Return the fee of a transaction with this message, in lamports."""
        missing = [Signature.default()] * message.header.num_required_signatures
        return self.simulate(VersionedTransaction.populate(message, missing)).fee

    def token_balance(self, index: int, account: Account | None) -> dict[str, Any] | None:
        """Return an entry of ``preTokenBalances``, or ``None`` if this is no token account."""
        if account is None or account.owner not in token_program.TOKEN_PROGRAMS:
            return None
        held = token_program.token_account(account.data)
        if held is None:
            return None
        return {
            "accountIndex": index,
            "mint": str(held.mint),
            "owner": str(held.owner),
            "programId": str(account.owner),
            "uiTokenAmount": token_amount(held.amount, self.decimals(held.mint)),
        }

    def decimals(self, mint: Pubkey) -> int:
        """Return the number of decimals of a token."""
        if mint not in self._decimals:
            account = self._svm.get_account(mint)
            self._decimals[mint] = token_program.mint_decimals(account.data) if account else 0
        return self._decimals[mint]

    def _balances(self, addresses: list[Pubkey], writable: frozenset[int]) -> _Balances:
        tokens = (
            self.token_balance(index, self._svm.get_account(addresses[index])) for index in sorted(writable)
        )
        return _Balances(
            [self.lamports(address) for address in addresses], [entry for entry in tokens if entry]
        )

    def _table_bytes(self, address: Pubkey) -> bytes | None:
        account = self.account(address)
        return account.data if account else None


def _meta(
    metadata: TransactionMetadata,
    error: Any,
    accounts: TransactionAccounts,
    before: _Balances,
    after: _Balances,
) -> dict[str, Any]:
    """Return the member ``meta`` of an answer to ``getTransaction``."""
    return {
        "err": error,
        "status": {"Ok": None} if error is None else {"Err": error},
        "fee": metadata.fee(),
        "preBalances": before.lamports,
        "postBalances": after.lamports,
        "preTokenBalances": before.tokens,
        "postTokenBalances": after.tokens,
        "innerInstructions": inner_instructions(metadata),
        "logMessages": metadata.logs(),
        "loadedAddresses": {
            "writable": [str(address) for address in accounts.loaded_writable],
            "readonly": [str(address) for address in accounts.loaded_readonly],
        },
        "computeUnitsConsumed": metadata.compute_units_consumed(),
        "rewards": [],
    }


def token_amount(amount: int, decimals: int) -> dict[str, Any]:
    """Return an amount in base units in the form of the JSON-RPC interface."""
    ui_amount = amount / 10**decimals
    whole, fraction = divmod(amount, 10**decimals)
    text = f"{whole}.{fraction:0{decimals}}".rstrip("0").rstrip(".") if decimals else str(amount)
    return {"amount": str(amount), "decimals": decimals, "uiAmount": ui_amount, "uiAmountString": text}


def error_of(result: FailedTransactionMetadata) -> Any:
    """Return a transaction's error in the form of the JSON-RPC interface."""
    return json.loads(result.to_json())["err"]


def inner_instructions(metadata: TransactionMetadata) -> list[dict[str, Any]]:
    """Return the instructions that programs called, by the index of the outer instruction."""
    return [
        {
            "index": index,
            "instructions": [
                {
                    "programIdIndex": each.instruction().program_id_index,
                    "accounts": list(each.instruction().accounts),
                    "data": base58.b58encode(bytes(each.instruction().data)).decode(),
                    "stackHeight": each.stack_height(),
                }
                for each in instructions
            ],
        }
        for index, instructions in enumerate(metadata.inner_instructions())
        if instructions
    ]


def _return_data(returned: Any) -> dict[str, Any]:
    return {
        "programId": str(returned.program_id),
        "data": [base64.b64encode(bytes(returned.data)).decode(), "base64"],
    }
