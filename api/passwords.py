"""``cto secrets``: what a deployment needs and nobody else may know, made once, at random."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from typing import TYPE_CHECKING

from api.policy import Role
from api.tokens import issue
from cto_worker.config import Settings
from cto_worker.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BYTES = 32  # of each secret
SCRAPER_S = 365 * 86_400  # how long the token for Prometheus lives
STORE_USERS = ("worker", "gateway", "flower", "backup")
ENV, ACL, TOKEN = "env", "users.acl", "prometheus-token"  # the files


def make(directory: Path, rights: Path) -> list[Path]:
    """Write the secrets into a new directory; ``rights`` says what each user of the store may do.

    Its ``#{name}`` become hashes of the passwords. Raises :class:`ConfigError` when there are secrets
    already, for what runs has those, or when there are no rights to read.
    """
    if directory.exists():
        raise ConfigError(f"{directory} is there already: what runs has those secrets. Move it away first")
    try:
        template = rights.read_text()
    except OSError as error:
        raise ConfigError(f"cannot read {rights}: run this in the project's folder ({error})") from error
    passwords = {name: secrets.token_hex(BYTES) for name in STORE_USERS}
    key = secrets.token_hex(BYTES)
    values = {
        "CTO_JWT_SECRET": key,
        "CTO_FLOWER_PASSWORD": secrets.token_hex(BYTES),
        "GRAFANA_PASSWORD": secrets.token_hex(BYTES),
        **{f"STORE_{name.upper()}_PASSWORD": password for name, password in passwords.items()},
    }
    token = issue(Settings(jwt_secret=key), "prometheus", Role.ADMIN, SCRAPER_S)
    directory.mkdir(parents=True, mode=0o700)
    return [
        _written(directory / ENV, "".join(f"{name}={value}\n" for name, value in values.items())),
        _written(directory / ACL, _hashed(template, passwords), readable=True),
        _written(directory / TOKEN, token, readable=True),
    ]


def _hashed(template: str, passwords: Mapping[str, str]) -> str:
    """Put the hash of each password in the place of its user's name, as an ACL file has it."""
    return re.sub(
        r"#\{(\w+)\}", lambda name: f"#{hashlib.sha256(passwords[name[1]].encode()).hexdigest()}", template
    )


def _written(path: Path, text: str, *, readable: bool = False) -> Path:
    """Write a file; one that a container's own user must read is kept from others by its directory."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    if readable:
        path.chmod(0o644)
    return path
