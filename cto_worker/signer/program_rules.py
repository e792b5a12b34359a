"""The programs that a message may call, and what their instructions may do.

A rule checks one instruction, and returns the lamports that leave the user's control with it. It refuses what
it does not know. Only top-level instructions are checked: an allowed program that calls others does that
within the accounts and amounts of its own instruction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from solders.pubkey import Pubkey
from solders.token.associated import get_associated_token_address

from cto_worker.errors import SignerRefusedError
from cto_worker.signer.message import Instruction

SYSTEM = "11111111111111111111111111111111"
COMPUTE_BUDGET = "ComputeBudget111111111111111111111111111111"
TOKEN = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"  # noqa: S105 - the address of a program
TOKEN_2022 = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"  # noqa: S105 - the address of a program
ASSOCIATED_TOKEN = "ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL"  # noqa: S105 - the address of a program
MEMO = "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"
WRAPPED_SOL = "So11111111111111111111111111111111111111112"
# The most that a new account costs: exact for SPL Token; with room for extensions for Token-2022.
MAX_RENT_LAMPORTS = {TOKEN: 2_039_280, TOKEN_2022: 5_000_000}


@dataclass(frozen=True, slots=True)
class Context:
    """The facts that rules know besides the instruction."""

    wallet: str  # signs and pays
    is_own: Callable[[str], bool]  # whether an address is a wallet of the same user
    payees: frozenset[str]  # exchanges that may be paid, and their accounts of wrapped SOL


Rule = Callable[[Instruction, Context], int]


def check_system(instruction: Instruction, context: Context) -> int:
    """Allow transfers to the user's own wallets and its wrapped SOL, and payments to payees."""
    if len(instruction.data) != 12 or instruction.data[:4] != b"\x02\0\0\0":  # noqa: PLR2004 - u32 and u64
        raise not_allowed(instruction, "only a transfer is allowed")
    source, destination = instruction.account(0), instruction.account(1)
    require(source == context.wallet, instruction, f"the source {source} is not the wallet that signs")
    if context.is_own(destination) or destination == token_account(context.wallet, WRAPPED_SOL):
        return 0
    if destination in context.payees:
        return int.from_bytes(instruction.data[4:], "little")
    raise _foreign(f"{destination} is neither a wallet of this user nor in CTO_SIGNER_PAYEES")


def check_compute_budget(instruction: Instruction, _: Context) -> int:
    """Allow the limits and the price of compute units, whose fee :mod:`cto_worker.signer.policy` counts."""
    lengths = {1: 5, 2: 5, 3: 9, 4: 5}  # heap size, unit limit, unit price, size of loaded accounts
    if not instruction.data or lengths.get(instruction.data[0]) != len(instruction.data):
        raise not_allowed(instruction, "it is not one of the current compute budget instructions")
    return 0


def check_token(instruction: Instruction, context: Context) -> int:
    """Allow transfers into the wallet's own account, payments of wrapped SOL to payees, and closing."""
    match instruction.data[:1], len(instruction.data):
        case b"\x0c", 10:
            return _check_token_transfer(instruction, context)
        case b"\x09", 1:  # CloseAccount: account, destination, owner
            if not context.is_own(destination := instruction.account(1)):
                raise _foreign(f"{destination} is not a wallet of this user")
        case b"\x11", 1:  # SyncNative
            pass
        case b"\xff", _ if instruction.program == TOKEN:
            return sum(check_token(each, context) for each in _batched(instruction))
        case _:
            raise not_allowed(instruction, "only TransferChecked, CloseAccount and SyncNative are allowed")
    return 0


def _check_token_transfer(instruction: Instruction, context: Context) -> int:
    """Check TransferChecked. Its accounts are source, mint, destination and authority."""
    mint, destination = instruction.account(1), instruction.account(2)
    own = token_account(context.wallet, mint, instruction.program)
    if destination == own:
        return 0
    if destination in context.payees and (mint, instruction.program) == (WRAPPED_SOL, TOKEN):
        return int.from_bytes(instruction.data[1:9], "little")
    raise _foreign(f"{destination} is neither the token account {own} of the wallet nor in CTO_SIGNER_PAYEES")


def _batched(batch: Instruction) -> list[Instruction]:
    """Return the instructions in a batch: for each its numbers of accounts and of bytes, then its bytes."""
    found, accounts, data = [], batch.accounts, batch.data[1:]
    while data:
        require(len(data) > 1 and data[0] <= len(accounts), batch, "the batch is incomplete")
        end = 2 + data[1]
        require(end <= len(data) and data[2:3] != b"\xff", batch, "the batch is incomplete or nested")
        found.append(Instruction(batch.program, accounts[: data[0]], data[2:end]))
        accounts, data = accounts[data[0] :], data[end:]
    return found


def check_associated_token(instruction: Instruction, context: Context) -> int:
    """Allow the creation of token accounts of the user. The rent counts as spent.

    An account of wrapped SOL gives it back when it is closed. One that holds tokens which somebody has minted
    into it cannot be closed.
    """
    require(
        instruction.data in {b"", b"\0", b"\x01"}, instruction, "only the creation of an account is allowed"
    )
    owner, mint, program = instruction.account(2), instruction.account(3), instruction.account(5)
    require(program in {TOKEN, TOKEN_2022}, instruction, f"{program} is not a token program")
    if not context.is_own(owner) or instruction.account(1) != token_account(owner, mint, program):
        raise _foreign(f"the owner {owner} of the new token account is not a wallet of this user")
    return 0 if mint == WRAPPED_SOL else MAX_RENT_LAMPORTS[program]


def check_memo(_: Instruction, __: Context) -> int:
    """Allow every memo."""
    return 0


def with_wrapped_sol(payees: Iterable[str]) -> frozenset[str]:
    """Return addresses of exchanges together with their associated accounts of wrapped SOL."""
    return frozenset(address for payee in payees for address in (payee, token_account(payee, WRAPPED_SOL)))


def token_account(owner: str, mint: str, program: str = TOKEN) -> str:
    """Return the address of the associated token account of a wallet."""
    keys = (Pubkey.from_string(each) for each in (owner, mint, program))
    return str(get_associated_token_address(*keys))


def require(condition: bool, instruction: Instruction, reason: str) -> None:  # noqa: FBT001 - an assertion
    """Raise the refusal of an instruction unless a condition holds."""
    if not condition:
        raise not_allowed(instruction, reason)


def not_allowed(instruction: Instruction, reason: str) -> SignerRefusedError:
    """Return the refusal of an instruction."""
    return SignerRefusedError(
        "instruction_not_allowed", f"an instruction of program {instruction.program}: {reason}"
    )


def _foreign(reason: str) -> SignerRefusedError:
    return SignerRefusedError("destination_not_allowed", reason)
