"""The name of this program in hints that users can copy."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path


def program() -> str:
    """Return the command that starts this program from the same shell, for hints that users can copy."""
    script = sys.argv[0]
    if Path(script).name != "cto":  # started as a module
        return f"{shlex.quote(sys.executable)} -m api.cli.main"
    return "cto" if shutil.which("cto") == script else shlex.quote(script)
