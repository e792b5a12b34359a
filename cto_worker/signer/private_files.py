"""Files and directories that only the signer's user may read."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from cto_worker.errors import KeystoreError

if TYPE_CHECKING:
    from pathlib import Path

_ROOT = 0


def check_private(path: Path) -> None:
    """Raise :class:`KeystoreError` if other users can read or replace a file or directory.

    It belongs to this user, or to root: systemd and container engines provide credentials like that, and
    give their service access through the group.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise KeystoreError(f"cannot read {path}: {error.strerror}") from error
    user, mode = os.geteuid(), stat.S_IMODE(found.st_mode)
    if not is_private(owner=found.st_uid, mode=mode, user=user):
        allowed = "700" if stat.S_ISDIR(found.st_mode) else "600"
        raise KeystoreError(
            f"other users have access to {path} (owner {found.st_uid}, mode {mode:o}): "
            f"it must belong to user {user}, with mode {allowed}"
        )


def is_private(*, owner: int, mode: int, user: int) -> bool:
    """Return whether only ``user`` and root have access to a file. All three are numbers."""
    if mode & stat.S_IRWXO or owner not in {user, _ROOT}:
        return False
    if owner == _ROOT != user:
        return not mode & stat.S_IWGRP  # the group is how root lets this user read
    return not mode & stat.S_IRWXG


def create_private(path: Path, text: str) -> None:
    """Write a new file durably.

    Raises :class:`KeystoreError` if the file exists, because it may be the only copy of a key.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise KeystoreError(f"{path} exists and is not overwritten: choose another name") from error
    except OSError as error:
        raise KeystoreError(f"cannot create {path}: {error.strerror}") from error
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    _sync_directory(path.parent)


def create_private_directory(path: Path) -> None:
    """Create a directory, unless it exists, and check that other users have no access to it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_private(path)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
