"""The code blocks of the documentation, and what runs each of them."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/**/*.md"),
    *ROOT.glob("clients/*/README.md"),
    ROOT / "benchmarks" / "README.md",
]
_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A code block. Blocks without a language are diagrams and output; they are no code."""

    page: str  # its path in the repository
    language: str
    code: str

    @property
    def first(self):
        """The first line, which identifies the block in its page."""
        return self.code.splitlines()[0].strip()


def blocks(page):
    """Return the code blocks of a page, in order."""
    text = (ROOT / page).read_text()
    return [Block(page, kind, textwrap.dedent(code)) for _, kind, code in _BLOCK.findall(text)]


def block(page, first):
    """Return the block of a page whose first line begins with this text."""
    (found,) = [each for each in blocks(page) if each.first.startswith(first)]
    return found
