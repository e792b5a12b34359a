"""Warnings about environment variables that look like settings but have no effect."""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from cto_worker.config import ENV_PREFIX, VARIABLES

if TYPE_CHECKING:
    from collections.abc import Mapping

# Read by docker-compose.yml and deploy/Caddyfile, so a shell may export them.
DEPLOYMENT = frozenset({"CTO_GATEWAYS", "CTO_SITE", "CTO_WORKERS"})
# Kubernetes sets these in each container, for each service whose name begins with "cto-".
_INJECTED = re.compile(r"CTO_.*(_SERVICE_(HOST|PORT(_.*)?)|_PORT(_\d+_(TCP|UDP|SCTP).*)?)\Z")
_ALIKE = 0.6  # minimal similarity, 0–1


def unknown_settings(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return a warning for each variable that begins with ``CTO_`` and is not a setting, by name.

    The warning contains the setting with the most similar name, if there is a similar one. An empty variable
    counts as not set.
    Values are never shown, because they may be secrets.
    """
    return {name: _warning(name) for name in sorted(environ) if environ[name] and _unknown(name)}


def _unknown(name: str) -> bool:
    if not name.startswith(ENV_PREFIX) or name in VARIABLES | DEPLOYMENT:
        return False
    return not _INJECTED.match(name)


def _warning(name: str) -> str:
    known = {variable.removeprefix(ENV_PREFIX): variable for variable in sorted(VARIABLES)}
    near = get_close_matches(name.removeprefix(ENV_PREFIX), known, n=1, cutoff=_ALIKE)
    hint = f"did you mean {known[near[0]]}?" if near else "docs/reference/settings.md lists the settings"
    return f"{name} is not a setting and has no effect: {hint}"
