"""Profiles: gateways and tokens that ``cto login`` saved in a file that only its owner can read."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import time
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path

import click

from api.cli.token_expiry import replaced_at
from cto_worker.errors import ConfigError

DEFAULT_NAME = "default"
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
COMMAND_TIMEOUT_S = 30.0
TOKEN_REUSE_S = 60.0  # how long the output of a token command is used, unless it expires earlier


@dataclass(slots=True)
class Profile:
    """A gateway's URL, and a token for it or the command that prints one. Both may be empty."""

    url: str
    token: str = ""
    token_command: str = ""
    _printed: str = ""  # by the command
    _reused_until_s: float = 0.0

    def current_token(self) -> str:
        """Return the token, or the output of the command. Raises :class:`ConfigError` if that fails."""
        if not self.token_command:
            return self.token
        if time.monotonic() >= self._reused_until_s:
            self._printed = _output_of(self.token_command)
            left_s = replaced_at(self._printed) - time.time()
            self._reused_until_s = time.monotonic() + min(left_s, TOKEN_REUSE_S)
        return self._printed


@dataclass(frozen=True, slots=True)
class Profiles:
    """All saved profiles by name, and the name of the default profile ("": none)."""

    default: str = ""
    by_name: dict[str, Profile] = field(default_factory=dict)

    def get(self, name: str) -> Profile:
        """Return a profile. Raises :class:`ConfigError` if there is none of this name."""
        if name not in self.by_name:
            known = ", ".join(self.by_name) or "none"
            raise ConfigError(f"no profile {name!r} in {path()}: use one of {known}, or run `cto login`")
        return self.by_name[name]

    def with_profile(self, name: str, profile: Profile) -> Profiles:
        """Return the profiles with one added or replaced. It becomes the default."""
        return Profiles(name, self.by_name | {name: profile})

    def without(self, name: str) -> Profiles:
        """Return the other profiles. Raises :class:`ConfigError` if there is none of this name."""
        self.get(name)
        rest = {other: profile for other, profile in self.by_name.items() if other != name}
        return replace(self, default="" if self.default == name else self.default, by_name=rest)


def path() -> Path:
    """Return the path of the file: below ``XDG_CONFIG_HOME``, which is ``~/.config`` by default."""
    return Path(click.get_app_dir("cto")) / "config.toml"


def load() -> Profiles:
    """Read the file; without one there are no profiles. Raises :class:`ConfigError` if it is not usable."""
    file = path()
    try:
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            document = tomllib.load(opened)
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # a service account has no folder for it
        return Profiles()
    except (OSError, ValueError) as error:  # an invalid file raises a subclass of ValueError
        raise ConfigError(f"cannot read {file}: {error}. Correct or remove it") from error
    if mode & 0o077:
        raise ConfigError(f"{file} contains tokens, and other users can read it: run `chmod 600 {file}`")
    try:
        by_name = {name: Profile(**values) for name, values in document.get("profiles", {}).items()}
    except (TypeError, AttributeError) as error:
        raise ConfigError(
            f"{file} has an invalid profile: use `url`, and `token` or `token_command` ({error})"
        ) from error
    return Profiles(document.get("default", ""), by_name)


def save(profiles: Profiles) -> None:
    """Replace the file atomically. Only its owner can read it."""
    file = path()
    file.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(_toml(profiles))
    new.replace(file)


def _toml(profiles: Profiles) -> str:
    lines = [f"default = {_string(profiles.default)}"]
    for name, profile in profiles.by_name.items():
        values = {"url": profile.url, "token": profile.token, "token_command": profile.token_command}
        lines += ["", f"[profiles.{name}]"]
        lines += [f"{key} = {_string(value)}" for key, value in values.items() if value]
    return "\n".join(lines) + "\n"


def _string(text: str) -> str:
    return json.dumps(text).replace("\x7f", "\\u007f")  # the strings of JSON are strings of TOML


def _output_of(command: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the user's own command
            shlex.split(command), stdout=subprocess.PIPE, timeout=COMMAND_TIMEOUT_S, check=True, text=True
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise ConfigError(f"the profile's token_command failed: {error}") from error
    return done.stdout.strip()
