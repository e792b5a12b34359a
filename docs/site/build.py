"""Builds the site of the documentation into ``api/guide``, where the gateway finds it: ``make docs``.

The pages are plain Markdown that a repository's viewer shows too. This program copies them, together with
pages that lie outside ``docs/``, corrects the links between them, and lets Sphinx make the site. A broken
link fails the build. The site loads nothing from another host, and contains no inline script and no inline
style, so the gateway serves it with the Content-Security-Policy of all its pages.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
DOCS = ROOT / "docs"
SITE = ROOT / "api" / "guide"
CLIENT = ROOT / "clients" / "js" / "src"
# Pages outside docs/, and their places in the site.
OUTSIDE = {
    "README.md": "index.md",  # only as the target of links
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "vulnerabilities.md",
    "CODE_OF_CONDUCT.md": "code-of-conduct.md",
    "benchmarks/README.md": "explanation/benchmarks.md",
    "clients/js/README.md": "reference/cto-progress.md",
    "clients/python/README.md": "reference/cto-client.md",
    "docs/decisions": "decisions/index.md",
}
STATIC = {".png", ".webp", ".svg"}
# Parts of the theme's pages that the policy forbids, or that screen readers do not accept.
REPLACED = {
    ' style="opacity: 50%"': "",
    ' style="display: none;"': " hidden",
    ' role="heading"': ' role="heading" aria-level="2"',
}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^()\s#]*)(#[^()\s]*)?\)")
_BLOCK = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)


def place(path: Path) -> str | None:
    """Return the place in the site of a file of the repository; ``None`` if the site does not have it."""
    name = path.relative_to(ROOT).as_posix()
    if name in OUTSIDE:
        return OUTSIDE[name]
    if path.is_dir():
        return None
    if path.is_relative_to(DOCS) and path.suffix in {".md", *STATIC}:
        return path.relative_to(DOCS).as_posix()
    return f"source/{name}" if path.suffix in STATIC else f"source/{name}.txt"


def page_text(source: Path, copied: set[Path]) -> str:
    """Return a page with links that are right in the site. Adds the files that they need to ``copied``."""
    here = os.path.dirname(place(source) or "")  # noqa: PTH120 - a place in the site, not a file

    def corrected(link: re.Match[str]) -> str:
        bang, text, target, anchor = link[1], link[2], link[3], link[4] or ""
        if not target or ":" in target:
            return link[0]
        path = Path(os.path.normpath(source.parent / target))
        if not path.exists():
            raise SystemExit(f"{source.relative_to(ROOT)}: the link to {target} is broken: correct it")
        there = place(path)
        if there is None:
            return text
        if path.suffix != ".md" and path.is_file():
            copied.add(path)
        return f"{bang}[{text}]({os.path.relpath(there, here or '.')}{anchor})"

    parts = _BLOCK.split(source.read_text())
    return "".join(part if part.startswith("```") else _LINK.sub(corrected, part) for part in parts)


def sections() -> dict[str, list[Path]]:
    """Return the pages of each section of docs/index.md, in its order, each once."""
    found: dict[str, list[Path]] = {}
    seen = {DOCS / "index.md", ROOT / "README.md"}
    for title, body in re.findall(
        r"^## (.+?)\n(.*?)(?=^## |\Z)", (DOCS / "index.md").read_text(), re.MULTILINE | re.DOTALL
    ):
        found[title] = []
        for _, _, target, _ in _LINK.findall(body):
            path = Path(os.path.normpath(DOCS / target))
            if path not in seen and (path.suffix == ".md" or path == DOCS / "decisions"):
                seen.add(path)
                found[title].append(path)
    return found


def heading(page: Path) -> str:
    """Return the title of a page."""
    return next(line[2:].replace("`", "") for line in page.read_text().splitlines() if line.startswith("# "))


def decisions() -> list[Path]:
    """Return the records of decisions, oldest first."""
    return sorted((DOCS / "decisions").glob("*.md"))


def navigation() -> str:
    """Return the navigation: the sections of docs/index.md, as directives of Sphinx."""
    return "".join(_toctree(title, map(_entry, pages)) for title, pages in sections().items())


def _toctree(caption: str, entries: Iterable[str]) -> str:
    options = f":caption: {caption}\n" * bool(caption)
    return f"\n```{{toctree}}\n{options}:hidden:\n\n" + "".join(f"{entry}\n" for entry in entries) + "```\n"


def _entry(page: Path) -> str:
    return "decisions/index" if page.is_dir() else f"{heading(page)} <{place(page)}>"


def write_pages(folder: Path) -> None:
    """Write every page of the site as Markdown, and the files that the pages need."""
    pages = {page for pages in sections().values() for page in pages if page.suffix == ".md"}
    copied: set[Path] = set()
    for page in {*pages, *DOCS.glob("**/*.md")}:
        file = folder / str(place(page))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page_text(page, copied))
    with (folder / "index.md").open("a") as index:
        index.write(navigation())
    (folder / "decisions" / "index.md").write_text(
        "# Decisions\n\nOne page for each, oldest first.\n\n"
        + "".join(f"- [{heading(record)}]({record.name})\n" for record in decisions())
        + _toctree("", [record.stem for record in decisions()])
    )
    for source in copied:
        file = folder / str(place(source))
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, file)


def without_inline_code(page: Path, site: Path) -> None:
    """Move the inline scripts and styles of a page into files, and its style attributes into classes."""

    def moved(kind: str, text: str) -> str:
        name = f"_static/{hashlib.sha256(text.encode()).hexdigest()[:12]}.{kind}"
        (site / name).write_text(text)
        return os.path.relpath(site / name, page.parent)

    html = _SCRIPT.sub(lambda each: f'<script src="{moved("js", each[1])}"></script>', page.read_text())
    html = _STYLE.sub(lambda each: f'<link rel="stylesheet" href="{moved("css", each[1])}">', html)
    for found, replaced in REPLACED.items():
        html = html.replace(found, replaced)
    page.write_text(html)


def build(site: Path) -> None:
    """Build the site into a folder, which it replaces. Raises ``CalledProcessError`` for a broken link."""
    with tempfile.TemporaryDirectory() as work:
        pages, made = Path(work) / "pages", Path(work) / "made"
        write_pages(pages)
        options = ["--fail-on-warning", "--keep-going", "--nitpicky", "--quiet", "--conf-dir", HERE]
        command = [
            sys.executable,
            "-m",
            "sphinx",
            "--builder",
            "html",
            *options,
            "--doctree-dir",
            work + "/cache",
        ]
        subprocess.run([*command, pages, made], check=True)
        for page in made.glob("**/*.html"):
            without_inline_code(page, made)
        shutil.copytree(DOCS / "demo", made / "demo")
        shutil.copytree(CLIENT, made / "client")
        shutil.rmtree(site, ignore_errors=True)
        shutil.copytree(made, site, ignore=shutil.ignore_patterns(".buildinfo", "objects.inv"))


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else SITE)
