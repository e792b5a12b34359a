"""The tokens of the demonstration, by the market on which it runs. `cto submit` needs nothing else of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cto_worker.config import Settings

# Mints that trade on pumpfun, bonk and raydium. The paper market sells every mint.
_PAPER_TOKENS = (
    "9FdjJ7S6g5LjAKFANKTm4WmAexYhHGusGFGi4VxEpump",
    "9FdjJ7S6g5LjAKFANKTm4WmAexYhHGusGFGi4VxEbonk",
    "So11111111111111111111111111111111111111112",
)
_LOCAL_CHAIN_TOKENS = (  # the demo tokens of every local chain
    "4sneXzeHsXezfgkhEhtY9AdUnQ7Zg7xY7mLR6gTxfLtf",
    "4shizicwEyv1RZ7UBNz2gCvrjtkxVs6GP4vrNkAmsTh5",
    "AwFcU2VXmzTvBvaLkdT8nnPzhL7qLSmHKihXCtRyvNqw",
)


def uses_local_chain(settings: Settings) -> bool:
    """Return whether the market runs on the local chain."""
    return settings.market == "solana" and not settings.solana_rpc_url


def market_prefix(settings: Settings) -> str:
    """Return what a command in another terminal must begin with, to buy a demo token of this market."""
    return "" if settings.market == "paper" else f"CTO_MARKET={settings.market} "


def demo_tokens(settings: Settings) -> tuple[str, str, str]:
    """Return the mints of tokens that trade on pumpfun, bonk and raydium."""
    return _LOCAL_CHAIN_TOKENS if uses_local_chain(settings) else _PAPER_TOKENS
