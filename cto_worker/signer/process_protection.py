"""Protection of this process's memory against other processes and core dumps."""

from __future__ import annotations

import ctypes
import os
import resource
import sys

from cto_worker.errors import ConfigError

_PR_SET_DUMPABLE = 4  # linux/prctl.h


def protect_process() -> None:
    """Turn off core dumps, and keep the user's other processes from reading this one's memory.

    New files are readable for their user only. Call this before the first secret is read. Raises
    :class:`ConfigError` on other systems than Linux.
    """
    if sys.platform != "linux":
        raise ConfigError(f"the signer needs Linux, but this is {sys.platform}: run it in a container")
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A process that is not dumpable cannot be traced either, except by root.
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        error = os.strerror(ctypes.get_errno())
        raise ConfigError(f"the system refuses to protect the signer's memory: {error}")
