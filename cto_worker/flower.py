"""Flower, where operators watch workers and tasks: ``python -m cto_worker.flower``.

It shows and controls everything. So it listens on this machine only, or asks for a password.
"""

from __future__ import annotations

import logging
import os
import sys

from celery.bin.celery import celery

from cto_worker import logs
from cto_worker.config import Settings, is_loopback
from cto_worker.errors import ConfigError
from cto_worker.unknown_settings import unknown_settings
from cto_worker.waiting import wait_for_store

USER = "operator"

log = logging.getLogger(__name__)


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
    """Run Flower, whose lines go the way of all others."""
    try:
        settings = Settings.from_env()
        os.environ.update(environment(settings))
    except ConfigError as error:
        sys.exit(f"error: {error}")
    logs.configure(settings)
    for warning in unknown_settings().values():
        log.warning(warning)
    # Flower asks each worker for all it can tell; a worker that is just starting does not answer all in time.
    logging.getLogger("flower.inspector").setLevel(logging.ERROR)
    wait_for_store(settings)
    options = [f"--address={settings.flower_host}", f"--port={settings.flower_port}"]
    celery(["--app", "cto_worker.app", "flower", *options], prog_name="celery")


if __name__ == "__main__":
    main()
