"""The check of a swap before it is signed: decoded, and simulated.

Whatever an aggregator returns, a wallet's transaction has one signer, calls known programs, costs no more
than was decided, and brings no less than was promised. Everything else is refused.
"""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cto_worker.errors import OrderRejectedError
from cto_worker.markets.solana import token_program
from cto_worker.markets.solana.receipts import JUPITER, error_code

if TYPE_CHECKING:
    from solders.message import MessageV0

ALLOWED_PROGRAMS = frozenset(
    {
        "11111111111111111111111111111111",
        "ComputeBudget111111111111111111111111111111",
        *map(str, token_program.TOKEN_PROGRAMS),
        str(token_program.ASSOCIATED_PROGRAM),
        str(token_program.MEMO_PROGRAM),
        JUPITER,
    }
)
# Positions of the amount in the data of Jupiter's instructions: route_v2, shared_accounts_route_v2.
_JUPITER_AMOUNT = {bytes.fromhex("bb64facc31c4af14"): 8, bytes.fromhex("d19853937cfed8e9"): 9}
_JUPITER_LIMIT = struct.Struct("<QQH")  # the amount, the quote in base units, and the slippage in bps
_MAX_BPS = 10_000


@dataclass(frozen=True, slots=True)
class SwapBounds:
    """The most that a swap may cost, and the least that it must bring."""

    wallet: str
    most_lamports: int  # that may leave the wallet: the amount, fees, and rent of new accounts
    least_tokens: int  # base units that the wallet's token account must gain


@dataclass(frozen=True, slots=True)
class Holdings:
    """A wallet's lamports, and the base units in its account of the token."""

    lamports: int
    tokens: int


def check_message(message: MessageV0, bounds: SwapBounds) -> None:
    """Raise :class:`OrderRejectedError` unless the wallet alone signs and all programs are allowed.

    A swap by Jupiter must contain the limit: a simulation shows only what the swap brings now.
    """
    keys = [str(key) for key in message.account_keys]
    signers = keys[: message.header.num_required_signatures]
    if signers != [bounds.wallet]:
        raise _refused(f"it needs the signatures of {', '.join(signers)}, not of {bounds.wallet} alone")
    for each in message.instructions:
        program = keys[each.program_id_index] if each.program_id_index < len(keys) else "of a lookup table"
        if program not in ALLOWED_PROGRAMS:
            raise _refused(f"it calls the program {program}")
        if program == JUPITER:
            _check_jupiter_limit(bytes(each.data), bounds)


def _check_jupiter_limit(data: bytes, bounds: SwapBounds) -> None:
    position = _JUPITER_AMOUNT.get(data[:8])
    if position is None or len(data) < position + _JUPITER_LIMIT.size:
        raise _refused("its instruction of Jupiter is not a known one")
    _, quoted, slippage_bps = _JUPITER_LIMIT.unpack_from(data, position)
    least = quoted * max(0, _MAX_BPS - slippage_bps) // _MAX_BPS
    if least < bounds.least_tokens:
        raise _refused(f"its limit is {least} base units, below {bounds.least_tokens}")


def check_simulation(
    message: MessageV0, simulation: dict[str, Any], before: Holdings, bounds: SwapBounds
) -> None:
    """Raise :class:`OrderRejectedError` unless the simulated swap succeeds within its bounds.

    ``simulation`` has the accounts of the wallet and of its tokens, in this order.
    """
    error = simulation.get("err")
    if error is not None:
        keys = [str(key) for key in message.account_keys]
        programs = [keys[each.program_id_index] for each in message.instructions]
        raise OrderRejectedError(error_code(error, programs), f"the swap would fail: {error}")
    after = _holdings(simulation)
    if before.lamports - after.lamports > bounds.most_lamports:
        raise _refused(
            f"it would cost {before.lamports - after.lamports} lamports, above {bounds.most_lamports}"
        )
    if after.tokens - before.tokens < bounds.least_tokens:
        raise _refused(
            f"it would bring {after.tokens - before.tokens} base units, below {bounds.least_tokens}"
        )


def _holdings(simulation: dict[str, Any]) -> Holdings:
    accounts: Any = simulation.get("accounts")
    try:
        wallet, tokens = list(accounts)
        held = token_program.token_account(base64.b64decode(tokens["data"][0])) if tokens else None
        return Holdings(wallet["lamports"] if wallet else 0, held.amount if held else 0)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise _refused(f"its simulation has no accounts to check: {error!r}") from error


def _refused(reason: str) -> OrderRejectedError:
    return OrderRejectedError("swap_refused", f"the aggregator's swap is refused: {reason}")
