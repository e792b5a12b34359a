"""The output of supervised processes: labelled lines, coloured by level, and a quiet form."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from rich.console import Console

from cto_worker.observability.logging_setup import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SUPERVISOR = "cto"  # the name for the supervisor's own lines
LABEL_COLOURS = (36, 33, 32, 35, 34)
LEVEL_COLOURS = {"warning": 33, "error": 31, "critical": 31}
HIDDEN_LINES = 20  # per process; shown if the process fails
# Levels in our console lines, our JSON lines, and the store's lines. A bare traceback is an error.
_LEVEL = re.compile(
    r"^\S+ \[(debug|info|warning|error|critical)\s*\] "
    r'|"level": ?"(debug|info|warning|error|critical)"'
    r"|^\d+:[A-Z] .{20,30} # (WARNING)|^(Traceback)"
)


@dataclass(slots=True)
class ProcessOutput:
    """Writes the lines of processes. ``quiet`` hides lines below a warning, unless they are the supervisor's.

    ``as_line`` formats a text and the name of its process; without it, a line is a label and the text.
    """

    out: IO[str]
    names: Sequence[str]
    as_line: Callable[[str, str], str] | None = None
    quiet: bool = False
    _levels: dict[str, str] = field(default_factory=dict)  # of the last line with a level, by process
    _hidden: defaultdict[str, deque[str]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=HIDDEN_LINES))
    )

    def write(self, text: str, name: str = SUPERVISOR) -> None:
        """Write a line of the process ``name``, or hide it."""
        level = self._level(text, name)
        if self.quiet and name != SUPERVISOR and level not in LEVEL_COLOURS:
            self._hidden[name].append(text)
        else:
            self._write(text, name, level)

    def show_hidden(self, name: str) -> None:
        """Write the last hidden lines of a process, because it has failed."""
        for text in self._hidden.pop(name, ()):
            self._write(text, name, "")

    def _level(self, text: str, name: str) -> str:
        """Return the level of a line. A line without one continues the line before, as in a traceback."""
        if found := _LEVEL.search(text):
            words = {"WARNING": "warning", "Traceback": "error"}
            level = next(filter(None, found.groups()))
            self._levels[name] = words.get(level, level)
        elif re.match(r"\d+:", text):  # any other line of the store
            self._levels[name] = "info"
        return self._levels.get(name, "")

    def _write(self, text: str, name: str, level: str) -> None:
        if self.as_line:
            if text.strip():
                self._put(self.as_line(text, name))
            return
        width = max(map(len, self.names))
        label, text = f"{name:<{width}} |", escape(text)
        if self.out.isatty() and not Console().no_color:
            position = self.names.index(name) if name in self.names else None
            colour = 1 if position is None else LABEL_COLOURS[position % len(LABEL_COLOURS)]
            label = f"\x1b[{colour}m{label}\x1b[0m"
            if level in LEVEL_COLOURS and name != SUPERVISOR:
                text = f"\x1b[{LEVEL_COLOURS[level]}m{text}\x1b[0m"
        self._put(f"{label} {text}")

    def _put(self, line: str) -> None:
        self.out.write(f"{line}\n")
        self.out.flush()
