"""``cto submit``: starts an operation."""

from __future__ import annotations

import json
from typing import Any

import click

from api.cli.commands.watch import show_progress
from api.cli.rest_client import client_for
from api.cli.shared_options import FiniteRange, as_json, at_gateway
from api.cli.system.demo_tokens import demo_tokens
from api.cli.terminal.amount_format import sol
from api.cli.terminal.confirmation import confirm, yes_option
from cto_worker.config import Settings
from cto_worker.domain.operation_request import MAX_BUY_SOL
from cto_worker.domain.progress_event import Mode


@click.command("submit")
@click.option("--token", "tokenAddress", help="Mint address of the token to buy (default: a demo token).")
@click.option("--user", "userId", default="demo", help="Owner of the operation.")
@click.option("--chat", "userChatId", type=int, default=1, help="The owner's Telegram chat id.")
@click.option(
    "--mode", type=click.Choice([mode.value for mode in Mode]), default="standard", help="Source of the SOL."
)
@click.option(
    "--amount",
    "buyAmount",
    type=FiniteRange(0, MAX_BUY_SOL, min_open=True),
    default=1.0,
    help="Total SOL to spend.",
)
@click.option("--wallets", "walletCount", type=int, help="Number of wallets that buy (default 5).")
@click.option("--wallet", "wallets", multiple=True, help="Wallet address to buy with; repeatable.")
@click.option("--platform", help="Platform to buy on (default: detected).")
@click.option("--slippage-bps", "slippageBps", type=int, help="Highest accepted price move, in basis points.")
@click.option("--socket-user", "socketUserId", help="Second user whose room also gets the events.")
@click.option("--idempotency-key", help="Repeating a submission with the same key returns the same job.")
@click.option("--watch", "then_watch", is_flag=True, help="Show the progress until the job ends.")
@yes_option
@as_json
@at_gateway
def submit(  # noqa: PLR0913 - one parameter per option
    *,
    idempotency_key: str | None,
    then_watch: bool,
    yes: bool,
    as_json: bool,
    url: str | None,
    profile: str | None,
    **fields: Any,
) -> None:
    """Start an operation and print its job id.

    In a terminal it asks for confirmation, because it spends money. --yes answers the question. Without a
    terminal, as in a script, it does not ask.
    """
    settings = Settings.from_env()
    fields["tokenAddress"] = fields["tokenAddress"] or demo_tokens(settings)[0]
    document = {name: value for name, value in fields.items() if value not in (None, ())}
    headers = None if idempotency_key is None else {"Idempotency-Key": idempotency_key}
    gateway = client_for(settings, url, profile)
    question = (
        f"Buy {fields['tokenAddress']} for {sol(fields['buyAmount'])} SOL of user {fields['userId']} "
        f"at {gateway.url}?"
    )
    confirm(question, yes=yes, required=False)
    created = gateway.post("/api/cto/jobs", document, headers)
    if then_watch:
        show_progress(gateway, [created["jobId"]], as_json=as_json)
    else:
        click.echo(json.dumps(created) if as_json else created["jobId"])
