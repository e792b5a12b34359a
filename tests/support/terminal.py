"""Commands in a pseudo-terminal, as people run them."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from pathlib import Path

from support.fork_server import fork_server_for
from support.processes import BIN

STYLE = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]")


def in_terminal(env, *arguments, columns=80, typed="", **settings):
    """Run ``cto`` in a terminal of this width. Returns its exit status and its output.

    ``typed`` is entered at the start. ``settings`` are further environment variables.
    """
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {name: value for name, value in env.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
    process = _started([BIN / "cto", *arguments], env | {"TERM": "xterm"} | settings, terminal)

    def close_at_end():  # not before, because a forked process opens the terminal itself
        process.wait()
        os.close(terminal)

    threading.Thread(target=close_at_end).start()
    os.write(controller, typed.encode())
    output = b""
    while data := read(controller):
        output += data
    os.close(controller)
    return process.wait(60), output.decode()


def _started(command, env, terminal):
    if server := fork_server_for(command, env):
        name = os.ttyname(terminal)
        return server.start(command, env, Path(name), given=name)
    return subprocess.Popen(
        command, env=env, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
    )


def read(controller):
    try:
        return os.read(controller, 65_536)
    except OSError as error:  # Linux raises EIO when the last writer has closed the terminal
        if error.errno != errno.EIO:
            raise
        return b""


def plain(output):
    """Return the lines of a terminal's output without styles and movements of the cursor."""
    return [line for line in re.split("[\r\n]+", STYLE.sub("", output)) if line]
