"""Generated parts of documents, between the marks ``<!-- generated: NAME -->`` and ``<!-- end -->``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_PART = re.compile(r"(<!-- generated: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_parts(document: str, parts: Mapping[str, str]) -> str:
    """Return the document with the current ``parts``, by name. Its other parts are not changed."""
    return _PART.sub(lambda old: old[1] + parts[old[2]] + old[3] if old[2] in parts else old[0], document)
