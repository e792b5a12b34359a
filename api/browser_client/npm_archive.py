"""The npm package as an archive, as ``npm pack`` makes it."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_ALWAYS = ("package.json", "README.md", "LICENSE")  # npm packs these, whatever `files` says
_RELEASED_S = 499162500  # the time of files in archives that npm makes: 1985-10-26


def pack(package: Path) -> bytes:
    """Return the archive of a package's folder.

    Equal files give equal bytes, because npm's lock files contain a hash.
    """
    files = json.loads((package / "package.json").read_text(encoding="utf-8"))["files"]
    found = sorted({path for name in (*_ALWAYS, *files) for path in _files(package / name)})
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in found:
            entry = tarfile.TarInfo(f"package/{path.relative_to(package).as_posix()}")
            entry.size, entry.mode, entry.mtime = path.stat().st_size, 0o644, _RELEASED_S
            with path.open("rb") as file:
                archive.addfile(entry, file)
    return gzip.compress(content.getvalue(), mtime=0)


def _files(path: Path) -> list[Path]:
    return [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path]
