"""The aggregator's interface: ``GET /swap/v2/build`` in the form of Jupiter's Swap API V2.

Source: https://dev.jup.ag/docs/swap/v2/build. The answer has the instructions of a swap; the client builds
and signs the transaction. The local exchange sells its demo tokens for SOL, and nothing else. Parameters of
the real interface that would change the swap are refused.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from solders.compute_budget import set_compute_unit_price
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from cto_worker.markets.solana import token_program
from cto_worker.markets.solana.local_chain.exchange.local_exchange import LocalExchange, NoQuoteError, Quote
from cto_worker.markets.solana.local_chain.genesis import DEMO_DECIMALS, DEMO_TOKENS, Genesis

if TYPE_CHECKING:
    from collections.abc import Mapping

    from solders.instruction import Instruction

_REQUIRED = ("inputMint", "outputMint", "amount", "taker")
_WITHOUT_EFFECT = frozenset({"mode", "maxAccounts"})  # of how a route is found; here there is one
_DEFAULT_SLIPPAGE_BPS = 50
_MAX_BPS = 10_000
_MAX_LAMPORTS = 2**63 - 1
_PRICE_MICRO_LAMPORTS = 1_000  # per compute unit
STAND_IN = "(local stand-in)"


async def build(exchange: LocalExchange, genesis: Genesis, query: Mapping[str, str]) -> dict[str, Any]:
    """Return the answer to a request. Raises :class:`NoQuoteError`."""
    mint, lamports, taker, slippage_bps = _parameters(query)
    quote = await exchange.quote(mint, lamports, taker, slippage_bps)
    return {
        **_route(quote, slippage_bps),
        "computeBudgetInstructions": [_document(set_compute_unit_price(_PRICE_MICRO_LAMPORTS))],
        **_instructions(quote, exchange.vault),
        "addressesByLookupTableAddress": {
            str(genesis.lookup_table): [str(address) for address in genesis.lookup_addresses]
        },
        "blockhashWithMetadata": {
            "blockhash": list(quote.blockhash),
            "lastValidBlockHeight": quote.last_valid_height,
        },
    }


def _parameters(query: Mapping[str, str]) -> tuple[Pubkey, int, Pubkey, int]:
    if missing := [name for name in _REQUIRED if not query.get(name)]:
        raise NoQuoteError("INVALID_REQUEST", f"parameters are missing: {', '.join(missing)}")
    unknown = query.keys() - {*_REQUIRED, "slippageBps", *_WITHOUT_EFFECT}
    if unknown:
        raise NoQuoteError(
            "INVALID_REQUEST", f"the local chain does not offer {', '.join(sorted(unknown))}: leave it out"
        )
    if _address(query, "inputMint") != token_program.WRAPPED_SOL:
        raise NoQuoteError(
            "NO_ROUTES_FOUND",
            f"inputMint is {query['inputMint']}: the local exchange takes SOL, {token_program.WRAPPED_SOL}",
        )
    slippage_bps = (
        _number(query, "slippageBps", 0, _MAX_BPS) if "slippageBps" in query else _DEFAULT_SLIPPAGE_BPS
    )
    amount = _number(query, "amount", 1, _MAX_LAMPORTS)
    return _address(query, "outputMint"), amount, _address(query, "taker"), slippage_bps


def _address(query: Mapping[str, str], name: str) -> Pubkey:
    try:
        return Pubkey.from_string(query[name])
    except ValueError as error:
        raise NoQuoteError(
            "INVALID_REQUEST", f"{name} is {query[name]!r}: give an address in base58"
        ) from error


def _number(query: Mapping[str, str], name: str, lowest: int, highest: int) -> int:
    text = query[name]
    if not (text.isascii() and text.isdigit() and lowest <= int(text[:20]) <= highest):
        raise NoQuoteError(
            "INVALID_REQUEST", f"{name} is {text!r}: give an integer from {lowest} to {highest}"
        )
    return int(text)


def _route(quote: Quote, slippage_bps: int) -> dict[str, Any]:
    label = next(token.label for token in DEMO_TOKENS if token.mint == quote.mint)
    swap = {
        "ammKey": str(quote.account),
        "label": f"{label} {STAND_IN}",
        "inputMint": str(token_program.WRAPPED_SOL),
        "outputMint": str(quote.mint),
        "inAmount": str(quote.lamports),
        "outAmount": str(quote.tokens),
    }
    return {
        **{name: swap[name] for name in ("inputMint", "outputMint", "inAmount", "outAmount")},
        "otherAmountThreshold": str(quote.minimum),
        "swapMode": "ExactIn",
        "slippageBps": slippage_bps,
        "routePlan": [{"swapInfo": swap, "percent": 100, "bps": _MAX_BPS}],
    }


def _instructions(quote: Quote, vault: Pubkey) -> dict[str, Any]:
    """Return the swap: wrap the SOL, exchange it in one instruction, and unwrap what is left."""
    taker, sol = quote.taker, token_program.WRAPPED_SOL
    wrapped = token_program.associated_account(taker, sol)
    received = token_program.associated_account(taker, quote.mint)
    pay = token_program.transfer_checked(
        wrapped, sol, vault, taker, quote.lamports, token_program.SOL_DECIMALS
    )
    take = token_program.transfer_checked(
        quote.account, quote.mint, received, taker, quote.tokens, DEMO_DECIMALS
    )
    setup = [
        token_program.open_associated(taker, taker, sol),
        transfer(TransferParams(from_pubkey=taker, to_pubkey=wrapped, lamports=quote.lamports)),
        token_program.sync_native(wrapped),
        token_program.open_associated(taker, taker, quote.mint),
    ]
    return {
        "setupInstructions": [_document(each) for each in setup],
        "swapInstruction": _document(token_program.batch([pay, take])),
        "cleanupInstruction": _document(token_program.close_account(wrapped, taker, taker)),
        "otherInstructions": [],
        "tipInstruction": None,
    }


def _document(instruction: Instruction) -> dict[str, Any]:
    return {
        "programId": str(instruction.program_id),
        "accounts": [
            {"pubkey": str(each.pubkey), "isSigner": each.is_signer, "isWritable": each.is_writable}
            for each in instruction.accounts
        ],
        "data": base64.b64encode(bytes(instruction.data)).decode(),
    }
