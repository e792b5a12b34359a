"""``cto signer``: run the signer, and create, import and list its keys. No command prints a key.

These commands have no entry in the audit log, because the signer has no access to the store: its database has
a log of changes. They use the signer's files directly, so only the signer's user can run them.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.cli.shared_options import as_json
from api.cli.terminal.confirmation import confirm, yes_option
from api.cli.terminal.table_output import print_table
from api.cli.terminal.time_format import local_time
from cto_worker.config import Settings
from cto_worker.errors import ConfigError

if TYPE_CHECKING:
    from types import ModuleType

_new_file = click.Path(path_type=Path, dir_okay=False)
_user = click.option("--user", required=True, help="Owner of the wallet.")


@click.group()
def signer() -> None:
    """Run the signer, which holds the private keys, and manage its keys."""


@signer.command("run")
def _run() -> None:
    """Run the signer in the foreground until SIGTERM or Ctrl-C.

    It needs a master key (CTO_SIGNER_KEY_FILE) and signs at CTO_SIGNER_SOCKET.
    """
    _actions().run(Settings.from_env())


@signer.command("create-key")
@click.argument("file", type=_new_file)
def _create_key(*, file: Path) -> None:
    """Write a new random master key to FILE.

    Keep a copy of it at another place than the backups of the database: without it all keys are lost.
    """
    key_id = _actions().create_key(file)
    click.echo(f"written: {file}, the master key {key_id}. Set CTO_SIGNER_KEY_FILE to it, and keep a copy")


@signer.command("generate")
@_user
@click.option("--count", type=click.IntRange(1, 50), default=1, help="Number of wallets.")
@as_json
def _generate(*, user: str, count: int, as_json: bool) -> None:
    """Create wallets with new keys, and print their addresses.

    The first wallet of a user is the funding wallet.
    """
    addresses = _actions().generate(Settings.from_env(), user, count)
    click.echo(json.dumps(addresses) if as_json else "\n".join(addresses))


@signer.command("import")
@_user
@click.option(
    "--file", type=click.Path(path_type=Path), help="File with the secret key (default: the input)."
)
@as_json
def _import(*, user: str, file: Path | None, as_json: bool) -> None:
    """Import a wallet's secret key from a file or the input, and print its address.

    The key is 64 bytes, as a JSON array of numbers or in base58. Prefer new keys: an imported key is only as
    safe as every program that has had it.
    """
    # Never an argument of the command: other users see arguments in the list of processes.
    secret = "" if file else _from_input()
    address = _actions().import_key(Settings.from_env(), user, file, secret)
    click.echo(json.dumps([address]) if as_json else address)


@signer.command("list")
@click.option("--user", help="List only this user's wallets.")
@as_json
def _list(*, user: str | None, as_json: bool) -> None:
    """List the addresses of all wallets."""
    wallets: list[dict[str, Any]] = _actions().wallets(Settings.from_env(), user)
    if as_json:
        click.echo(json.dumps(wallets))
    else:
        print_table(("user", "kind", "wallet"), [tuple(wallet.values()) for wallet in wallets])


@signer.command("rotate")
@click.argument("file", type=click.Path(path_type=Path))
@yes_option
def _rotate(*, file: Path, yes: bool) -> None:
    """Seal all keys with the master key in FILE, instead of the one in CTO_SIGNER_KEY_FILE.

    Stop the signer first. Afterwards set CTO_SIGNER_KEY_FILE to FILE. Older backups need the old master key.
    """
    confirm(f"Seal all keys with the master key in {file}?", yes=yes)
    count = _actions().rotate(Settings.from_env(), file)
    click.echo(f"sealed again: {count} keys. Set CTO_SIGNER_KEY_FILE to {file}, and start the signer")


@signer.command("changes")
@as_json
def _changes(*, as_json: bool) -> None:
    """List what was imported, generated and rotated, when and by which operator."""
    entries = [asdict(change) for change in _actions().change_log(Settings.from_env())]
    if as_json:
        click.echo(json.dumps(entries))
        return
    rows = [
        (local_time(entry["at_ms"]), entry["operator"], entry["action"], entry["user_id"], entry["address"])
        for entry in entries
    ]
    print_table(("time", "operator", "action", "user", "wallet"), rows)


@signer.command("backup")
@click.argument("file", type=_new_file)
def _backup(*, file: Path) -> None:
    """Write a copy of the database with the sealed keys to FILE. The signer may run."""
    _actions().backup(Settings.from_env(), file)
    click.echo(f"written: {file}. Its keys open only with the master key, which is not in it")


def _from_input() -> str:
    if sys.stdin.isatty():
        secret: str = click.prompt("Secret key", hide_input=True, err=True)
        return secret
    return sys.stdin.read()


def _actions() -> ModuleType:
    """Return the module that needs the packages of the extra."""
    try:
        from api.cli.signer import actions  # noqa: PLC0415 - other commands run without the extra
    except ImportError as error:
        raise ConfigError(
            f"the signer needs the extra cto[solana]: {error}. "
            "Run pip install --requirement requirements-solana.lock"
        ) from error
    return actions
