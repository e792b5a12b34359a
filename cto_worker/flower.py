"""Flower, where operators watch workers and tasks: ``python -m cto_worker.flower``.

It shows and controls everything. So it listens on this machine only, or asks for a password.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cto_worker.config import Settings, is_loopback
from cto_worker.errors import ConfigError

USER = "operator"


def environment(settings: Settings) -> dict[str, str]:
    """Return what Flower is to find in its environment: the password, which a command line would show.

    Raises :class:`ConfigError` when others could reach a Flower without one.
    """
    if not (is_loopback(settings.flower_host) or settings.flower_password):
        raise ConfigError(
            f"others can reach CTO_FLOWER_HOST={settings.flower_host}, and Flower controls everything: "
            "set CTO_FLOWER_PASSWORD, or CTO_FLOWER_HOST=127.0.0.1"
        )
    return {"FLOWER_BASIC_AUTH": f"{USER}:{settings.flower_password}"} if settings.flower_password else {}


def main() -> None:
    """Become Flower."""
    try:
        settings = Settings.from_env()
        environ = {**os.environ, **environment(settings)}
    except ConfigError as error:
        sys.exit(f"error: {error}")
    celery = str(Path(sys.executable).parent / "celery")
    options = [f"--address={settings.flower_host}", f"--port={settings.flower_port}"]
    command = [celery, "--app", "cto_worker.app", "flower", *options]
    os.execve(celery, command, environ)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
