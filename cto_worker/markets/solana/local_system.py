"""The signer of ``cto up`` on a local chain: ``python -m cto_worker.markets.solana.local_system``.

It makes what a first start needs: a master key, the wallets of the demo user, and SOL in them. Then this
process becomes the signer, with the local exchange as a payee. The keys guard play money only.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from cto_worker.config import Settings
from cto_worker.domain.lamports import LAMPORTS_PER_SOL
from cto_worker.errors import CtoError, MarketError
from cto_worker.markets.solana.chain_reader import ChainReader
from cto_worker.markets.solana.cluster import Cluster
from cto_worker.markets.solana.rpc_client import Provider, Providers
from cto_worker.signer import database
from cto_worker.signer.keystore import Keystore, addresses
from cto_worker.signer.master_key import create_master_key, read_master_key

if TYPE_CHECKING:
    from collections.abc import Mapping

DEMO_USER = "demo"
_OPERATION_WALLETS = 10
_FUNDING_SOL, _OPERATION_SOL = 1_000, 100  # play money
_DAILY_SOL = 1_000_000
_ARRIVAL_S, _POLL_S = 30.0, 0.05
_SIGNER = (sys.executable, "-m", "api.cli.main", "signer", "run")


def main() -> None:
    """Prepare the first start, and become the signer."""
    settings = Settings.from_env()
    try:
        environ = prepare(settings)
    except CtoError as error:
        sys.exit(f"the signer does not start: {error}")
    os.execve(sys.executable, _SIGNER, {**os.environ, **environ})  # noqa: S606 - ourselves


def prepare(settings: Settings) -> dict[str, str]:
    """Make what a first start needs. Return the signer's settings."""
    url = f"http://127.0.0.1:{settings.local_chain_port}/"
    provider = Provider(url)
    reader = ChainReader(Providers([provider]))
    Cluster(reader, "", mainnet=False).genesis_hash()  # only a local chain gives SOL away
    key_file = settings.signer_key_file or str(settings.data_dir.absolute() / "local-master.key")
    _fund(provider, reader, _demo_wallets(settings, Path(key_file)))
    payees = [*settings.signer_payees, _exchange(url)]
    chosen = {"CTO_SIGNER_DAILY_SOL": str(_DAILY_SOL)}
    return _unless_set(chosen) | {"CTO_SIGNER_KEY_FILE": key_file, "CTO_SIGNER_PAYEES": ",".join(payees)}


def _demo_wallets(settings: Settings, key_file: Path) -> list[str]:
    """Return the wallets of the demo user. The first start creates them, and the master key."""
    if not key_file.exists():
        create_master_key(key_file)
    with database.opened(database.directory_of(settings)) as connection:
        keystore = Keystore(connection, read_master_key(str(key_file)))
        missing = 1 + _OPERATION_WALLETS - len(addresses(connection, DEMO_USER))
        if missing > 0:
            keystore.generate(DEMO_USER, missing, "cto up")
        return addresses(connection, DEMO_USER)


def _fund(provider: Provider, reader: ChainReader, wallets: list[str]) -> None:
    """Give SOL to the wallets that have none, and wait until it has arrived."""
    empty = [wallet for wallet, lamports in reader.balances(wallets).items() if not lamports]
    for wallet in empty:
        sol = _FUNDING_SOL if wallet == wallets[0] else _OPERATION_SOL
        provider.call("requestAirdrop", wallet, sol * LAMPORTS_PER_SOL)
    deadline_s = time.monotonic() + _ARRIVAL_S
    while empty and not all(reader.balances(empty).values()):
        if time.monotonic() > deadline_s:
            raise MarketError(f"the SOL for the demo user did not arrive within {_ARRIVAL_S:g} s")
        time.sleep(_POLL_S)
    if empty:
        sys.stdout.write(f"user {DEMO_USER} has got play money in {len(empty)} wallets\n")
        sys.stdout.flush()


def _exchange(url: str) -> str:
    """Return the address of the local exchange, to which swaps pay."""
    try:
        page = requests.get(url, timeout=5)
        return str(page.json()["exchange"])
    except (requests.RequestException, ValueError, KeyError) as error:
        raise MarketError(f"the local chain at {url} does not say its exchange: {error!r}") from error


def _unless_set(settings: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in settings.items() if not os.environ.get(name)}


if __name__ == "__main__":
    main()
