"""``cto secrets``: what a deployment needs and nobody else may know, at random; made once, or rotated."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from typing import TYPE_CHECKING

import jwt

from api.auth.policy import Role
from api.auth.tokens import issue
from cto_worker.config import Settings
from cto_worker.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

BYTES = 32  # of each secret
SCRAPER_S = 365 * 86_400  # how long the token for Prometheus lives
RENEW_S = 90 * 86_400  # and when a new one is made, before it expires
STORE_USERS = ("worker", "gateway", "flower", "backup")
ENV, ACL, TOKEN = "env", "users.acl", "prometheus-token"  # the files
KEY = "CTO_JWT_SECRET"


def _variable(store_user: str) -> str:
    return f"STORE_{store_user.upper()}_PASSWORD"


ROTATED = {  # what can be rotated, and by which variables it is known
    "jwt": [KEY],
    "store": [_variable(user) for user in STORE_USERS],
    "flower": ["CTO_FLOWER_PASSWORD"],
    "grafana": ["GRAFANA_PASSWORD"],
    "prometheus": [],  # its token
}


def make(directory: Path, rights: Path, rotate: Collection[str] = ()) -> list[Path]:
    """Write the secrets into a directory; ``rights`` says what each user of the store may do.

    Its ``#{name}`` become hashes of the passwords. Secrets that are there stay as they are, for what runs has
    those. Made are: those that are missing; those that ``rotate`` names, of :data:`ROTATED`; a token of ours
    for Prometheus that expires soon; and the rights, which an upgrade may have changed. When its passwords
    are rotated the store takes the earlier ones, too, until this is called again.

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
    before = dict(line.split("=", 1) for line in there.splitlines() if "=" in line)
    new = {name: secrets.token_hex(BYTES) for name in _to_be_made(before, rotate)}
    values = before | new
    directory.mkdir(parents=True, mode=0o700, exist_ok=True)
    written = [_replaced(env, _with(there, new))] if new else []
    earlier = before if "store" in rotate else {}
    written.append(_rewritten(directory / ACL, _hashed(template, values, earlier)))
    if {"jwt", "prometheus"} & set(rotate) or _lacks_token(token, values[KEY]):
        signed = issue(Settings(jwt_secret=values[KEY]), "prometheus", Role.ADMIN, SCRAPER_S)
        written.append(_rewritten(token, signed))
    return written


def _to_be_made(before: Mapping[str, str], rotate: Collection[str]) -> list[str]:
    return [name for what, names in ROTATED.items() for name in names if what in rotate or name not in before]


def _with(text: str, new: Mapping[str, str]) -> str:
    """Give variables new values, each on its line or on one at the end."""
    lines, left = text.splitlines(), dict(new)
    for place, line in enumerate(lines):
        name = line.partition("=")[0]
        if name in left:
            lines[place] = f"{name}={left.pop(name)}"
    lines += [f"{name}={value}" for name, value in left.items()]
    return "".join(f"{line}\n" for line in lines)


def _hashed(template: str, values: Mapping[str, str], earlier: Mapping[str, str]) -> str:
    """Put the hashes of each user's passwords in the place of its name, as an ACL file has them."""

    def hashes(name: re.Match[str]) -> str:
        variable = _variable(name[1])
        passwords = dict.fromkeys([values[variable], earlier.get(variable, values[variable])])
        return " ".join(f"#{hashlib.sha256(password.encode()).hexdigest()}" for password in passwords)

    return re.sub(r"#\{(\w+)\}", hashes, template)


def _lacks_token(path: Path, key: str) -> bool:
    """Whether Prometheus needs a token of us: it has none, or one of ours that expires soon."""
    if not path.exists():
        return True
    try:
        claims = jwt.decode(
            path.read_text().strip(),
            key,
            algorithms=["HS256"],
            options={"verify_exp": False, "verify_aud": False},
        )
    except jwt.InvalidTokenError:
        return False  # somebody else's
    return bool(claims["exp"] < time.time() + RENEW_S)


def _replaced(path: Path, text: str) -> Path:
    """Write a file, all of it or nothing: no copy of what it has is anywhere else."""
    new = path.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    return new.replace(path)


def _rewritten(path: Path, text: str) -> Path:
    """Write a file that a container's own user reads; others are kept from it by its directory.

    Where it is: it is mounted by itself, and a container would go on seeing the file that was replaced.
    """
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(text)
        file.truncate()
    path.chmod(0o644)
    return path
