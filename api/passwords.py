"""``cto secrets``: what a deployment needs and nobody else may know, at random, and made once."""

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
KEY = "CTO_JWT_SECRET"


def make(directory: Path, rights: Path) -> list[Path]:
    """Write the secrets into a directory; ``rights`` says what each user of the store may do.

    Its ``#{name}`` become hashes of the passwords. Secrets that are there stay as they are, for what runs has
    those: only what is missing is made, and the rights are written anew, which an upgrade may have changed.

    Returns the files written. Raises :class:`ConfigError` when the directory is of something else, or when
    there are no rights to read.
    """
    env, token = directory / ENV, directory / TOKEN
    if directory.exists() and not env.exists():
        raise ConfigError(
            f"{directory} is there already, and has no file {ENV!r}: name another, or move it away"
        )
    try:
        template = rights.read_text()
    except OSError as error:
        raise ConfigError(f"cannot read {rights}: run this in the project's folder ({error})") from error
    there = env.read_text() if env.exists() else ""
    values = dict(line.split("=", 1) for line in there.splitlines() if "=" in line)
    new = {name: secrets.token_hex(BYTES) for name in _names() if name not in values}
    values |= new
    directory.mkdir(parents=True, mode=0o700, exist_ok=True)
    written = []
    if new:
        added = "".join(f"{name}={value}\n" for name, value in new.items())
        written.append(_written(env, f"{there.rstrip()}\n{added}".lstrip()))
    passwords = {name: values[_variable(name)] for name in STORE_USERS}
    written.append(_written(directory / ACL, _hashed(template, passwords), readable=True))
    if not token.exists():
        signed = issue(Settings(jwt_secret=values[KEY]), "prometheus", Role.ADMIN, SCRAPER_S)
        written.append(_written(token, signed, readable=True))
    return written


def _names() -> list[str]:
    return [KEY, "CTO_FLOWER_PASSWORD", "GRAFANA_PASSWORD", *map(_variable, STORE_USERS)]


def _variable(store_user: str) -> str:
    return f"STORE_{store_user.upper()}_PASSWORD"


def _hashed(template: str, passwords: Mapping[str, str]) -> str:
    """Put the hash of each password in the place of its user's name, as an ACL file has it."""
    return re.sub(
        r"#\{(\w+)\}", lambda name: f"#{hashlib.sha256(passwords[name[1]].encode()).hexdigest()}", template
    )


def _written(path: Path, text: str, *, readable: bool = False) -> Path:
    """Write a file; one that a container's own user must read is kept from others by its directory."""
    new = path.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    if readable:
        new.chmod(0o644)
    return new.replace(path)
