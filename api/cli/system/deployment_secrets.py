"""The random secrets of a deployment: created once, and rotated on request."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from typing import TYPE_CHECKING

import jwt

from api.auth.caller import Role
from api.auth.token_issuer import issue
from cto_worker.config import Settings
from cto_worker.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

BYTES = 32  # length of each secret
SCRAPER_S = 365 * 86_400  # lifetime of the token for Prometheus
RENEW_S = 90 * 86_400  # remaining lifetime below which the token is renewed
STORE_USERS = ("worker", "gateway", "flower", "backup")
ENV, ACL, TOKEN = "env", "users.acl", "prometheus-token"  # file names
KEY = "CTO_JWT_SECRET"


def _variable(store_user: str) -> str:
    return f"STORE_{store_user.upper()}_PASSWORD"


ROTATED = {  # the secrets that can be rotated, and their variables
    "jwt": [KEY],
    "store": [_variable(user) for user in STORE_USERS],
    "archive": ["ARCHIVE_PASSWORD"],
    "flower": ["CTO_FLOWER_PASSWORD"],
    "grafana": ["GRAFANA_PASSWORD"],
    "prometheus": [],  # a token in a file of its own
}


def make(directory: Path, rights: Path, rotate: Collection[str] = ()) -> list[Path]:
    """Write the secrets into a directory, and the store's ACL file made from the template ``rights``.

    In the template, ``#{name}`` stands for the hashes of a store user's passwords. Existing secrets stay,
    because running processes use them. A call creates missing secrets and those that ``rotate`` names (see
    :data:`ROTATED`). It renews a token for Prometheus that is damaged, or that it issued and that expires
    soon. It always writes the ACL file, because an upgrade may change its template. After a rotation of its
    passwords the store also accepts the previous ones, until the next call.

    Returns the written files. Raises :class:`ConfigError` if the directory belongs to something else, or if
    the template is not readable.
    """
    env, token = directory / ENV, directory / TOKEN
    if directory.exists() and not env.exists():
        raise ConfigError(
            f"{directory} exists and has no file {ENV!r}: choose another directory, or move this one away"
        )
    try:
        template = rights.read_text()
    except OSError as error:
        raise ConfigError(f"cannot read {rights}: run this in the project's folder ({error})") from error
    env_text = env.read_text() if env.exists() else ""
    existing = dict(line.split("=", 1) for line in env_text.splitlines() if "=" in line)
    new = {name: secrets.token_hex(BYTES) for name in _variables_to_create(existing, rotate)}
    values = existing | new
    directory.mkdir(parents=True, mode=0o700, exist_ok=True)
    env.touch(0o600)  # so a call that stops after this line can be repeated
    previous = existing if "store" in rotate else {}
    # The ACL file comes first. If the call stops after it, the store still accepts the passwords in env.
    written = [_overwrite_file(directory / ACL, _acl_file(template, values, previous))]
    if new:
        written.append(_replace_file(env, _with_values(env_text, new)))
    if {"jwt", "prometheus"} & set(rotate) or _needs_token(token, values[KEY]):
        signed = issue(Settings(jwt_secret=values[KEY]), "prometheus", Role.ADMIN, SCRAPER_S)
        written.append(_overwrite_file(token, signed))
    return written


def _variables_to_create(existing: Mapping[str, str], rotate: Collection[str]) -> list[str]:
    return [
        name
        for secret, names in ROTATED.items()
        for name in names
        if secret in rotate or name not in existing
    ]


def _with_values(text: str, new: Mapping[str, str]) -> str:
    """Return the text of an env file with new values, each on its variable's line or at the end."""
    lines, remaining = text.splitlines(), dict(new)
    for index, line in enumerate(lines):
        name = line.partition("=")[0]
        if name in remaining:
            lines[index] = f"{name}={remaining.pop(name)}"
    lines += [f"{name}={value}" for name, value in remaining.items()]
    return "".join(f"{line}\n" for line in lines)


def _acl_file(template: str, values: Mapping[str, str], previous: Mapping[str, str]) -> str:
    """Return the template with the hashes of each user's passwords, in the form of an ACL file."""

    def hashes(name: re.Match[str]) -> str:
        variable = _variable(name[1])
        passwords = dict.fromkeys([values[variable], previous.get(variable, values[variable])])
        return " ".join(f"#{hashlib.sha256(password.encode()).hexdigest()}" for password in passwords)

    return re.sub(r"#\{(\w+)\}", hashes, template)


def _needs_token(path: Path, key: str) -> bool:
    """Return whether Prometheus's token is missing or damaged, or is signed with ``key`` and expires soon."""
    if not path.exists():
        return True
    try:
        claims = jwt.decode(
            path.read_text().strip(),
            key,
            algorithms=["HS256"],
            options={"verify_exp": False, "verify_aud": False},
        )
    except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError):
        return False  # signed with another key, so issued elsewhere
    except jwt.InvalidTokenError:
        return True  # empty or cut: an earlier call stopped while it wrote the file
    return bool(claims["exp"] < time.time() + RENEW_S)


def _replace_file(path: Path, text: str) -> Path:
    """Replace a file atomically: its secrets exist nowhere else."""
    new = path.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    return new.replace(path)


def _overwrite_file(path: Path, text: str) -> Path:
    """Write a file in place. Containers' users can read it; its directory keeps other users out.

    It is mounted as a single file, so a container would not see a replaced one.
    """
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(text)
        file.truncate()
    path.chmod(0o644)
    return path
