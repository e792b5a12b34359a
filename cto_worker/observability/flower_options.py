"""Flower's environment and command line, derived from the settings.

This module is separate from :mod:`cto_worker.observability.flower`, because ``cto up`` uses it and must not
load Flower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cto_worker.addresses import LOOPBACK_NAMES, as_host_name, is_loopback
from cto_worker.errors import ConfigError

if TYPE_CHECKING:
    from cto_worker.config import Settings

USER = "operator"
# Kept in memory, including ended ones: a container's worker has a new name after each start.
MAX_WORKERS = 200


def environment(settings: Settings) -> dict[str, str]:
    """Return Flower's environment variables: the password, which must not be visible in a command line.

    Raises :class:`ConfigError` if other machines could reach a Flower without a password.
    """
    if not (is_loopback(settings.flower_host) or settings.flower_password):
        raise ConfigError(
            f"other machines can reach CTO_FLOWER_HOST={settings.flower_host}, and Flower shows every job: "
            "set CTO_FLOWER_PASSWORD, or CTO_FLOWER_HOST=127.0.0.1"
        )
    return {"FLOWER_BASIC_AUTH": f"{USER}:{settings.flower_password}"} if settings.flower_password else {}


def options(settings: Settings) -> list[str]:
    """Return Flower's command-line options."""
    return [
        f"--address={settings.flower_host}",
        f"--port={settings.flower_port}",
        f"--max-tasks={settings.flower_tasks}",
        f"--max-workers={MAX_WORKERS}",
        f"--read-only={settings.flower_control != 'yes'}",
    ]


def names(settings: Settings) -> frozenset[str] | None:
    """Return the host names that Flower answers to; ``None`` means all names.

    A loopback address is open to DNS rebinding, where a web page's own host name resolves to 127.0.0.1. On
    other addresses Flower requires a password, which such a page does not have, so the default is all names.
    """
    if is_loopback(settings.flower_host):
        return LOOPBACK_NAMES | {as_host_name(settings.flower_host), *settings.flower_names}
    return LOOPBACK_NAMES | set(settings.flower_names) if settings.flower_names else None
