"""The policy: which messages the signer signs, and how much each of them may spend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cto_worker.errors import SignerRefusedError
from cto_worker.signer import program_rules
from cto_worker.signer.jupiter_rule import JUPITER, check_jupiter
from cto_worker.signer.message import decode

if TYPE_CHECKING:
    from collections.abc import Callable

    from cto_worker.signer.message import Message
    from cto_worker.signer.program_rules import Rule

# The programs that a message may call. A new one is a rule, a line here, and its cases in the tests.
RULES: dict[str, Rule] = {
    program_rules.SYSTEM: program_rules.check_system,
    program_rules.COMPUTE_BUDGET: program_rules.check_compute_budget,
    program_rules.TOKEN: program_rules.check_token,
    program_rules.TOKEN_2022: program_rules.check_token,
    program_rules.ASSOCIATED_TOKEN: program_rules.check_associated_token,
    program_rules.MEMO: program_rules.check_memo,
    JUPITER: check_jupiter,
}
BASE_FEE_LAMPORTS = 5_000  # of a transaction with one signature
MAX_FEE_LAMPORTS = 50_000_000  # protects against a wrong unit of the price, which the other limits may allow
_MAX_COMPUTE_UNITS = 1_400_000  # of a transaction without a limit of its own
_MICRO = 1_000_000


def check(message: bytes, wallet: str, is_own: Callable[[str], bool], payees: frozenset[str]) -> int:
    """Return the lamports that may leave the user's wallets with a message, fees included.

    ``is_own`` returns whether an address is a wallet of the same user. Raises :class:`SignerRefusedError` if
    the message does anything that no rule allows.
    """
    decoded = decode(message)
    if decoded.signers != (wallet,):
        raise SignerRefusedError(
            "signers_not_allowed",
            f"the message needs the signatures of {', '.join(decoded.signers)}, not of {wallet} alone",
        )
    context = program_rules.Context(wallet, is_own, payees)
    spent = sum(_rule(each.program)(each, context) for each in decoded.instructions)
    return spent + _fee(decoded)


def _rule(program: str) -> Rule:
    rule = RULES.get(program)
    if rule is None:
        raise SignerRefusedError("program_not_allowed", f"the program {program} is not allowed")
    return rule


def _fee(message: Message) -> int:
    """Return the most that the transaction can cost. Its instructions have passed their rules."""
    budget = {
        each.data[0]: int.from_bytes(each.data[1:], "little")
        for each in message.instructions
        if each.program == program_rules.COMPUTE_BUDGET
    }
    units, micro_lamports = min(budget.get(2, _MAX_COMPUTE_UNITS), _MAX_COMPUTE_UNITS), budget.get(3, 0)
    fee = BASE_FEE_LAMPORTS + -(-units * micro_lamports // _MICRO)
    if fee > MAX_FEE_LAMPORTS:
        raise SignerRefusedError(
            "fee_above_limit",
            f"the fee is {fee} lamports, above {MAX_FEE_LAMPORTS}: use a lower priority fee",
        )
    return fee
