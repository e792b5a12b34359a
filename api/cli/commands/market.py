"""``cto market``: the paper market's wallets, deposits and ledger in the store, and an audit of the chain."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import asdict
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from api.cli.audit.change_entries import enter_if_possible
from api.cli.job_ids import JobIdParameter, match_prefix
from api.cli.shared_options import FiniteRange, as_json
from api.cli.terminal.confirmation import confirm, yes_option
from api.cli.terminal.table_output import print_table
from cto_worker.config import Settings
from cto_worker.domain.audit_entry import Action
from cto_worker.domain.lamports import to_lamports, to_sol
from cto_worker.errors import ConfigError
from cto_worker.markets.paper import ledger
from cto_worker.markets.paper.bonding_curve import TOKEN_UNITS
from cto_worker.markets.paper.deposits import deposit, reset
from cto_worker.markets.paper.ledger_summary import job_ids, operation_costs
from cto_worker.signer.client import SignerClient
from cto_worker.store.store_connection import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis

    from cto_worker.markets.paper.ledger_summary import OperationCosts

MAX_DEPOSIT_SOL = 1_000_000
_CHAIN_AUDIT = "cto_worker.markets.solana.chain_audit"  # needs the packages of cto[solana]


@click.group()
def market() -> None:
    """Show the paper market's wallets and ledger, refill its wallets, and audit wallets on a chain."""


@market.command("wallets")
@click.option("--user", default="demo", help="Owner of the wallets.")
@as_json
def _wallets(*, user: str, as_json: bool) -> None:
    """Show a user's wallets and their balances."""
    with _paper_store(Settings.from_env()) as store:
        wallets = ledger.wallets(store, user)
    if as_json:
        click.echo(json.dumps(wallets))
        return
    rows = []
    for wallet in wallets:
        rows.append((wallet["address"], wallet["kind"], f"{to_sol(wallet['lamports']):.9f} SOL"))
        # On rows of their own: two addresses do not fit on one line of most terminals.
        rows += [(f"  {mint}", "token", _tokens(amount)) for mint, amount in wallet["tokens"].items()]
    print_table(("wallet", "kind", "balance"), rows)


@market.command("deposit")
@click.option("--user", default="demo", help="Owner of the wallet.")
@click.option(
    "--amount",
    type=FiniteRange(0, MAX_DEPOSIT_SOL, min_open=True),
    required=True,
    help="SOL to add.",
)
@click.option("--wallet", default="", help="Address of the wallet (default: the funding wallet).")
@as_json
def _deposit(*, user: str, amount: float, wallet: str, as_json: bool) -> None:
    """Add SOL to a wallet of the paper market."""
    settings, lamports = Settings.from_env(), to_lamports(amount)
    with _paper_store(settings) as store:
        enter_if_possible(Action.MARKET_DEPOSIT, user, {"lamports": lamports, "wallet": wallet})
        balance = deposit(store, settings, user, lamports, wallet)
    if as_json:
        click.echo(json.dumps({"userId": user, "deposited": lamports, "balance": balance}))
    else:
        click.echo(f"deposited {to_sol(lamports):.9f} SOL; the wallet's balance is {to_sol(balance):.9f} SOL")


@market.command("reset")
@yes_option
@as_json
def _reset(*, yes: bool, as_json: bool) -> None:
    """Reset all wallets, tokens and prices of the paper market.

    Every wallet gets CTO_PAPER_BALANCE_SOL again, and every price starts anew. The ledger keeps its entries.
    """
    settings = Settings.from_env()
    with _paper_store(settings) as store:
        confirm("Reset the wallets and tokens of all users? This cannot be undone.", yes=yes)
        enter_if_possible(Action.MARKET_RESET, "paper")
        added = reset(store, settings)
    click.echo(json.dumps({"entries": added}) if as_json else f"reset; new entries in the ledger: {added}")


@market.command("operation")
@click.argument("job", type=JobIdParameter())
@as_json
def _operation(*, job: str, as_json: bool) -> None:
    """Show what one operation cost, from the ledger.

    JOB is a job id or its first characters.
    """
    with _paper_store(Settings.from_env()) as store:
        entries = ledger.entries(store)
    job_id = match_prefix(job, ((known, "in the ledger") for known in reversed(job_ids(entries))))
    costs = operation_costs(entries, job_id)
    if as_json:
        click.echo(json.dumps(asdict(costs)))
    else:
        _print_costs(costs)


@market.command("ledger")
@click.option("--user", help="Show only this user's entries. The audit covers all entries.")
@click.option("--limit", type=click.IntRange(1), help="Number of latest entries to show.")
@as_json
def _ledger(*, user: str | None, limit: int | None, as_json: bool) -> None:
    """Show all movements and rejected orders, and audit the ledger.

    Exits with 1 if the ledger does not balance.
    """
    with _paper_store(Settings.from_env()) as store:
        entries = [entry for entry in ledger.entries(store) if user in {None, entry.user_id}]
        audit = ledger.audit(store)
    shown = entries[-limit:] if limit else entries
    balanced = not audit.discrepancies
    if as_json:
        document = {
            "entries": [asdict(entry) for entry in shown],
            "audit": asdict(audit),
            "balanced": balanced,
        }
        click.echo(json.dumps(document))
    else:
        _print_entries(shown)
        for account, lamports in audit.totals_lamports.items():
            click.echo(f"{account:<14} {to_sol(lamports):>20.9f} SOL")
        for discrepancy in audit.discrepancies:
            click.echo(f"error: {discrepancy}")
        click.echo(f"{audit.entries} entries; the ledger {'balances' if balanced else 'does NOT balance'}")
    sys.exit(not balanced)


@market.command("chain")
@click.option("--user", default="demo", help="Owner of the wallets; the signer knows them.")
@click.option("--wallet", "wallets", multiple=True, help="Address of a wallet, instead of a user's wallets.")
@as_json
def _chain(*, user: str, wallets: tuple[str, ...], as_json: bool) -> None:
    """Audit wallets of the market `solana` from the chain alone.

    No intent may have executed twice, and the lamports of each wallet must be the sum of its transactions.
    Exits with 1 otherwise. Uses neither the store nor the worker's records. Run it while no operation of the
    user runs, and with providers that keep the whole history.
    """
    settings = Settings.from_env()
    audit_cluster = _chain_audit(settings)
    addresses = wallets or SignerClient.from_settings(settings).addresses(user)
    if not addresses:
        raise ConfigError(f"user {user} has no wallets in the signer: give another --user, or --wallet")
    found = audit_cluster(settings, addresses)
    if as_json:
        click.echo(json.dumps({**asdict(found), "balanced": not found.discrepancies}))
    else:
        _print_chain_audit(found)
    sys.exit(bool(found.discrepancies))


def _chain_audit(settings: Settings) -> Callable[..., Any]:
    """Return the function that audits wallets, which needs the packages of the extra."""
    if settings.market != "solana":
        raise ConfigError(
            f"CTO_MARKET is {settings.market}: `cto market chain` is for the market `solana` only. "
            "`cto market ledger` audits the paper market"
        )
    try:
        function: Callable[..., Any] = import_module(_CHAIN_AUDIT).audit_cluster
    except ImportError as error:
        raise ConfigError(
            f"`cto market chain` needs the extra cto[solana]: {error}. "
            "Run pip install --requirement requirements-solana.lock"
        ) from error
    return function


@contextmanager
def _paper_store(settings: Settings) -> Iterator[Redis]:
    if settings.market != "paper":
        raise ConfigError(f"CTO_MARKET is {settings.market}: these commands are for the market `paper` only")
    with connect(settings, url=settings.paper_url) as store:
        yield store


def _print_entries(entries: list[ledger.Entry]) -> None:
    no_posting = ledger.Posting("-", "-", 0)
    rows = [
        (entry.entry_id, entry.kind, entry.user_id, _amount(posting), posting.asset, posting.account)
        for entry in entries
        for posting in entry.postings or (no_posting,)
    ]
    print_table(("entry", "kind", "user", "amount", "asset", "account"), rows)


def _amount(posting: ledger.Posting) -> str:
    """Return the amount in SOL or in whole tokens."""
    if posting.asset == ledger.SOL:
        return f"{to_sol(posting.amount):,.9f}"
    return _tokens(posting.amount) if posting.amount else ""


def _tokens(base_units: int) -> str:
    return f"{base_units / TOKEN_UNITS:,.6f}"


def _print_chain_audit(found: Any) -> None:
    rows = [(wallet, f"{to_sol(lamports):.9f} SOL") for wallet, lamports in found.balances.items()]
    print_table(("wallet", "balance"), rows)
    for discrepancy in found.discrepancies:
        click.echo(f"error: {discrepancy}")
    click.echo(
        f"{found.transactions} transactions, {to_sol(found.fees):.9f} SOL of fees, "
        f"{len(found.executions)} executed intents; they {'do NOT ' if found.discrepancies else ''}add up"
    )


def _print_costs(costs: OperationCosts) -> None:
    click.echo(f"Job {costs.job_id}")
    amounts = {
        "transferred": costs.transferred,
        "paid for tokens": costs.paid_to_curve,
        "platform fees": costs.platform_fees,
        "network fees": costs.network_fees,
        "priority fees": costs.priority_fees,
        "spent": costs.spent,
    }
    for label, lamports in amounts.items():
        click.echo(f"  {label:<16}{to_sol(lamports):>16.9f} SOL")
    click.echo(f"  {'tokens':<16}{_tokens(costs.tokens):>16}")
    click.echo(f"  {'steps':<16}{', '.join(f'{count} {kind}' for kind, count in costs.counts.items())}\n")
    rows = [
        (
            step.kind,
            step.wallet,
            f"{to_sol(step.amount):.9f}",
            f"{to_sol(step.network_fees + step.priority_fees + step.platform_fees):.9f}",
            f"{to_sol(step.spent):.9f}",
            _tokens(step.tokens) if step.tokens else "",
            step.signature,
        )
        for step in costs.steps
    ]
    columns = ("step", "wallet", "SOL", "fees", "spent", "tokens", "signature")
    print_table(columns, rows, optional=("signature", "fees", "SOL", "tokens"))
