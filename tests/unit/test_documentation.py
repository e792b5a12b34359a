"""Links between the documents, their anchors, and the files that they name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from support.documents import NOT_RUN, PAGES, PAGES_RUN_BY, ROOT, RUN_BY, all_blocks, entries

if TYPE_CHECKING:
    from pathlib import Path

LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
NAMED = re.compile(r"`((?:api|cto_worker|tests|deploy|clients|examples|benchmarks|docs)/[\w./-]+)`")
BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
GENERATED = {  # on the operator's machine
    "deploy/secrets",
    "deploy/secrets/",
    "deploy/secrets/prometheus-token",
    "deploy/kubernetes/production/secrets",
}
KUBECTL = {"deploy/worker"}  # not a file: kubectl's name of a deployment


def prose(page: Path) -> str:
    return BLOCK.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """As GitHub makes them: lower case, without punctuation, hyphens for spaces."""
    titles = (re.sub(r"[^\w\- ]", "", title.lower()) for title in HEADING.findall(prose(page)))
    return {title.strip().replace(" ", "-") for title in titles}


def test_every_link_leads_somewhere():
    broken = []
    for page in PAGES:
        for link in LINK.findall(prose(page)):
            if link.startswith(("http://", "https://")):
                continue
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if not target.exists() or (anchor and anchor not in anchors(target)):
                broken.append(f"{page.relative_to(ROOT)}: {link}")
    assert not broken


def test_every_named_file_exists():
    missing = [
        f"{page.relative_to(ROOT)}: {name}"
        for page in PAGES
        for name in NAMED.findall(prose(page))
        if name not in GENERATED | KUBECTL and not (ROOT / name).exists()
    ]
    assert not missing


def test_every_page_is_in_the_index():
    docs = ROOT / "docs"
    index = (docs / "index.md").read_text()
    pages = {str(path.relative_to(docs)) for path in docs.glob("**/*.md")}
    listed = {page for page in pages if f"({page}" in index}
    assert {page for page in pages - listed if not page.startswith("decisions/")} == {"index.md"}


def test_every_code_block_is_run_by_a_test_or_has_a_reason():
    for each in all_blocks():
        matches = entries(RUN_BY, each) + entries(NOT_RUN, each) + [each.page] * (each.page in PAGES_RUN_BY)
        assert len(matches) == 1, f"{each.page}, `{each.first}`: list it once in tests/support/documents.py"


def test_every_entry_of_the_tables_of_code_blocks_is_needed():
    used = {key for each in all_blocks() for key in entries(RUN_BY, each) + entries(NOT_RUN, each)}
    assert used == set(RUN_BY) | set(NOT_RUN)
    for test in {*RUN_BY.values(), *PAGES_RUN_BY.values()}:
        assert (ROOT / test).exists(), test
