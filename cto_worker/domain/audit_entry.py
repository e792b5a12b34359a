"""Entries of the audit log: who changed what. Each contains the hash of the entry before it.

The store numbers the entries 1, 2, 3 … and links them (``store/lua/audit_chain.lua``)::

    hash = SHA-256(hash of the previous entry + SHA-256(content))

Both inputs are the 32 bytes of the hashes. The first entry follows :data:`GENESIS`.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import socket
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from cto_worker.domain.progress_event import dumps

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class Actor:
    """The author of a change."""

    name: str  # user id of the token, or the user of the operating system who runs a command
    role: str  # "user", "admin" or "service", or "operator" for a command that uses the store
    address: str  # network address of the caller, or the host on which a command or a client runs


class Action(StrEnum):
    """The kind of a change: its subject, and what was done to it."""

    JOB_SUBMIT = "job.submit"
    JOB_CANCEL = "job.cancel"
    JOB_RESOLVE = "job.resolve"
    JOB_CLOSE_REVIEW = "job.close_review"
    JOB_PARK = "job.park"
    TOKEN_REVOKE = "token.revoke"  # noqa: S105 - not a secret
    STORE_BACKUP = "store.backup"
    ARCHIVE_MIGRATE = "archive.migrate"
    SECRETS_WRITE = "secrets.write"
    MARKET_DEPOSIT = "market.deposit"
    MARKET_RESET = "market.reset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change, before it has its place in the log. ``before`` and ``after`` are JSON objects, or null."""

    actor: Actor
    action: Action
    job_id: str = ""
    target: str = ""  # the changed object, if it is not a whole job: an intent, a token
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None

    def encode(self) -> str:
        """Return the change in the form that the store's scripts need: hash of its content, and content.

        The time is the present, in milliseconds since the Unix epoch.
        """
        content = dumps(
            {
                "at": time.time_ns() // 1_000_000,
                "actor": self.actor.name,
                "role": self.actor.role,
                "address": self.actor.address,
                "action": self.action,
                "jobId": self.job_id or None,
                "target": self.target or None,
                "before": self.before,
                "after": self.after,
            }
        )
        return hashlib.sha256(content).hexdigest() + content.decode()


class AuditPosition(NamedTuple):
    """The place of an entry in the log."""

    number: int
    hash: str  # distinguishes entries with one number, which exist only after a loss of entries


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An entry of the log. ``content`` is the JSON that its hash covers."""

    number: int
    content: str
    previous: str  # hash of the previous entry, 64 hexadecimal digits
    hash: str

    @property
    def position(self) -> AuditPosition:
        """The place of the entry in the log."""
        return AuditPosition(self.number, self.hash)

    @property
    def fields(self) -> dict[str, Any]:
        """The content, as :meth:`Change.encode` writes it."""
        fields: dict[str, Any] = json.loads(self.content)
        return fields

    @property
    def intact(self) -> bool:
        """Whether the hash is that of the content and the previous hash."""
        return self.hash == link(self.previous, self.content)


def link(previous: str, content: str) -> str:
    """Return the hash of the entry with this content that follows the entry with the hash ``previous``."""
    digest = hashlib.sha256(content.encode()).digest()
    try:
        return hashlib.sha256(bytes.fromhex(previous) + digest).hexdigest()
    except ValueError:  # a modified entry may contain anything
        return ""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """A selection of entries. Empty texts, 0 and ``None`` select everything."""

    actor: str = ""
    action: str = ""
    job_id: str = ""
    from_ms: int = 0  # ms since the Unix epoch, inclusive
    to_ms: int | None = None  # exclusive

    def matches(self, entry: AuditEntry) -> bool:
        """Return whether the entry is selected."""
        fields = entry.fields
        wanted = {"actor": self.actor, "action": self.action, "jobId": self.job_id}
        if any(value and fields[name] != value for name, value in wanted.items()):
            return False
        return self.from_ms <= fields["at"] and (self.to_ms is None or fields["at"] < self.to_ms)


def local_actor(role: str = "operator") -> Actor:
    """Return the actor of a change that this process makes: the operating system's user, on this host."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        name = str(os.getuid())
    return Actor(name, role, socket.gethostname())
