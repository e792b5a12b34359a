"""The actions of the commands of ``cto signer``. This module needs the packages of ``cto[solana]``."""

from __future__ import annotations

import logging
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cto_worker.domain.audit_entry import local_actor
from cto_worker.domain.lamports import to_lamports
from cto_worker.errors import ConfigError
from cto_worker.observability import logging_setup
from cto_worker.signer import database, keystore
from cto_worker.signer.keystore import Keystore
from cto_worker.signer.master_key import create_master_key, read_master_key
from cto_worker.signer.private_files import check_private
from cto_worker.signer.process_protection import protect_process
from cto_worker.signer.program_rules import with_wrapped_sol
from cto_worker.signer.protocol import socket_path
from cto_worker.signer.secret_key import parse_secret_key
from cto_worker.signer.server import SignerServer, uids
from cto_worker.signer.service import SigningService
from cto_worker.signer.spending_limits import Limits, SpendingLimits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cto_worker.config import Settings

_log = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    logging_setup.configure(settings)
    protect_process()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    signal.signal(signal.SIGINT, lambda *_: sys.exit())
    clients = uids(settings.signer_clients)
    directory, path = database.directory_of(settings), socket_path(settings)
    limits = Limits(to_lamports(settings.signer_order_sol), to_lamports(settings.signer_daily_sol))
    with database.exclusive(directory), database.opened(directory) as connection:
        keys = Keystore(connection, read_master_key(settings.signer_key_file))
        spending = SpendingLimits(connection, limits)
        service = SigningService(connection, keys, spending, with_wrapped_sol(settings.signer_payees))
        with SignerServer(path, service, clients) as server:
            _log.info("signer ready at %s, for the users %s", path, ", ".join(map(str, sorted(clients))))
            server.serve_forever()


def create_key(path: Path) -> str:
    """Create a master key. Return its id."""
    protect_process()
    return create_master_key(path).key_id


def generate(settings: Settings, user_id: str, count: int) -> list[str]:
    """Create wallets. Return their addresses."""
    with _keystore(settings) as keys:
        return keys.generate(user_id, count, local_actor().name)


def import_key(settings: Settings, user_id: str, file: Path | None, secret: str) -> str:
    """Import the key in a file, or else the text ``secret``. Return its address."""
    with _keystore(settings) as keys:
        if file:
            check_private(file)
            secret = file.read_text(encoding="ascii", errors="replace")
        secret_key = parse_secret_key(secret)
        keys.import_key(user_id, secret_key, local_actor().name)
    return secret_key.address


def wallets(settings: Settings, user_id: str | None) -> list[dict[str, str]]:
    """Return the wallets of one user or of all, without opening a key."""
    with database.opened(database.directory_of(settings)) as connection:
        return [
            {"userId": each, "kind": "operation" if position else "funding", "address": address}
            for each in ([user_id] if user_id else keystore.user_ids(connection))
            for position, address in enumerate(keystore.addresses(connection, each))
        ]


def rotate(settings: Settings, file: Path) -> int:
    """Seal all keys with another master key. Return their number."""
    directory = database.directory_of(settings)
    with database.exclusive(directory), _keystore(settings) as keys:
        new = read_master_key(str(file))
        if file.samefile(settings.signer_key_file):
            raise ConfigError(
                f"{file} is the current master key: create another with `cto signer create-key`"
            )
        return keys.rotate(new, local_actor().name)


def change_log(settings: Settings) -> list[keystore.Change]:
    """Return the log of changes."""
    with database.opened(database.directory_of(settings)) as connection:
        return list(keystore.changes(connection))


def backup(settings: Settings, file: Path) -> None:
    """Copy the database."""
    with database.opened(database.directory_of(settings)) as connection:
        database.back_up(connection, file)


@contextmanager
def _keystore(settings: Settings) -> Iterator[Keystore]:
    protect_process()
    with database.opened(database.directory_of(settings)) as connection:
        yield Keystore(connection, read_master_key(settings.signer_key_file))
