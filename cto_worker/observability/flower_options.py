"""How Flower is started: what the settings mean to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cto_worker.config import is_loopback
from cto_worker.errors import ConfigError
from cto_worker.hosts import LOOPBACK_NAMES, as_host_name

if TYPE_CHECKING:
    from cto_worker.config import Settings

USER = "operator"
MAX_WORKERS = 200  # kept in memory, those that have ended among them: a container's worker has a new name


def environment(settings: Settings) -> dict[str, str]:
    """Return what Flower is to find in its environment: the password, which a command line would show.

    Raises :class:`ConfigError` when others could reach a Flower without one.
    """
    if not (is_loopback(settings.flower_host) or settings.flower_password):
        raise ConfigError(
            f"others can reach CTO_FLOWER_HOST={settings.flower_host}, and Flower shows every job: "
            "set CTO_FLOWER_PASSWORD, or CTO_FLOWER_HOST=127.0.0.1"
        )
    return {"FLOWER_BASIC_AUTH": f"{USER}:{settings.flower_password}"} if settings.flower_password else {}


def options(settings: Settings) -> list[str]:
    """Return Flower's command line."""
    return [
        f"--address={settings.flower_host}",
        f"--port={settings.flower_port}",
        f"--max-tasks={settings.flower_tasks}",
        f"--max-workers={MAX_WORKERS}",
        f"--read-only={settings.flower_control != 'yes'}",
    ]


def names(settings: Settings) -> frozenset[str] | None:
    """Return the host names that Flower answers to; ``None`` if to all.

    A page whose name was rebound to this machine reaches what listens on a loopback address. Elsewhere a
    password is required, which such a page does not have, and the names are the network's business.
    """
    if is_loopback(settings.flower_host):
        return LOOPBACK_NAMES | {as_host_name(settings.flower_host), *settings.flower_names}
    return LOOPBACK_NAMES | set(settings.flower_names) if settings.flower_names else None
