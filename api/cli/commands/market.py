"""``cto market``: the paper market's wallets and ledger, read from the store."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from api.cli.shared_options import as_json
from api.cli.terminal.table_output import print_table
from cto_worker.config import Settings
from cto_worker.domain.lamports import to_sol
from cto_worker.markets.paper import ledger
from cto_worker.store.store_connection import connect


@click.group()
def market() -> None:
    """Show the wallets and the ledger of the paper market."""


@market.command("wallets")
@click.option("--user", default="demo", help="Owner of the wallets.")
@as_json
def _wallets(*, user: str, as_json: bool) -> None:
    """Show a user's wallets and their balances."""
    settings = Settings.from_env()
    with connect(settings, url=settings.paper_url) as store:
        wallets = ledger.wallets(store, user)
    if as_json:
        click.echo(json.dumps(wallets))
        return
    rows = []
    for wallet in wallets:
        rows.append((wallet["address"], wallet["kind"], f"{to_sol(wallet['lamports']):.9f} SOL"))
        # On rows of their own: two addresses do not fit on one line of most terminals.
        rows += [
            (f"  {mint}", "token", f"{amount / 10**6:,.6f}") for mint, amount in wallet["tokens"].items()
        ]
    print_table(("wallet", "kind", "balance"), rows)


@market.command("ledger")
@click.option("--user", help="Show only this user's entries. The audit covers all entries.")
@click.option("--limit", type=click.IntRange(1), help="Number of latest entries to show.")
@as_json
def _ledger(*, user: str | None, limit: int | None, as_json: bool) -> None:
    """Show all movements and rejected orders, and audit the ledger.

    Exits with 1 if the ledger does not balance.
    """
    settings = Settings.from_env()
    with connect(settings, url=settings.paper_url) as store:
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
        no_posting = ledger.Posting("-", "-", 0)
        rows = [
            (entry.entry_id, entry.kind, entry.user_id, str(posting.amount), posting.asset, posting.account)
            for entry in shown
            for posting in entry.postings or (no_posting,)
        ]
        print_table(("entry", "kind", "user", "amount", "asset", "account"), rows)
        for account, lamports in audit.totals_lamports.items():
            click.echo(f"{account:<14} {to_sol(lamports):>20.9f} SOL")
        for discrepancy in audit.discrepancies:
            click.echo(f"error: {discrepancy}")
        click.echo(f"{audit.entries} entries; the ledger {'balances' if balanced else 'does NOT balance'}")
    sys.exit(not balanced)
