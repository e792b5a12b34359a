"""The language of code, docs and API documents: the terms of the glossary, and plain sentences."""

from __future__ import annotations

import ast
import io
import json
import re
import subprocess
import tokenize
from functools import cache
from pathlib import Path

import pytest

from api.spec import asyncapi, openapi

ROOT = Path(__file__).parents[2]
# Regular expressions of terms that this project once used in place of the field's, and the field's.
OLD_TERMS = {
    "audiences?": "subscribers, membership",  # but see ALLOWED
    "doorbells?": "poller",
    "doors?": "transport",
    "knocks?": "connection attempt",
    "ladder": "connection manager",
    "lobby": "sessions",
    "outbox(?:es)?": "send queue",
    "patiently": "with retries",
    "pulses?": "heartbeat",
    "rungs?": "transport",
    "(?:story|stories)": "progress, history",
    "tally": "totals",
    "(?:whoever|whomever)": "name the actor",
    "is none that there is": "unknown",
    "none of (?:ours|others|theirs)": "name the object",
    "go(?:es)? on with": "continue, resume",
    "let in": "accepted, authenticated",
    "so many": "the number, up to n",
}
# Lines that may contain a term: the claim `aud`, the metric label `door`, the script of running systems.
ALLOWED = {
    "audiences?": r"(?i)InvalidAudienceError|jwt|token|claim|\baud\b|[a-z] another audience|key per audience"
    r"|\baudience=|\bAUDIENCE\b",
    "doors?": r"""["'`{ (]door["'`} )=,]|gateway_sockets""",
    "pulses?": r"pulse\.lua|\"pulse\"|(?:animation|@keyframes).*pulse",
}
# Names of Python objects that are the field's words in other places.
OLD_NAMES = {"hold": "guard", "Hold": "RunGuard", "turn": "slot", "turns": "slots", "Turns": "FifoSemaphore"}
CLAUSE = re.compile(r"(?:What|Who|Whoever|Whose|Whom|Have|Those|That which)(?![a-z])")
COMMENT = re.compile(r"\s*(?://+|--|/\*\*?|\*)\s+(?P<text>.*)")  # of a line in JavaScript or Lua
TEXTS = {
    ".py",
    ".md",
    ".lua",
    ".js",
    ".mjs",
    ".ts",
    ".html",
    ".css",
    ".yml",
    ".yaml",
    ".json",
    ".toml",
    ".sh",
}
EXEMPT = {"CHANGELOG.md", "CODE_OF_CONDUCT.md", "api/static/third_party/preact.js"}
# This file contains the old terms.
ITSELF = "tests/unit/test_language.py"


@cache
def texts():
    """Return the content of every text of the repository, and of the published API documents, by name."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = [
        (name, ROOT / name) for name in listed.stdout.splitlines() if name not in EXEMPT and name != ITSELF
    ]
    found = {
        name: path.read_text()
        for name, path in paths
        if path.suffix in TEXTS and path.is_file() and path.name != "package-lock.json"
    }
    published = {"OpenAPI": openapi.document(), "AsyncAPI": asyncapi.document()}
    return found | {name: json.dumps(document, indent=1) for name, document in published.items()}


def python():
    return [(name, text) for name, text in texts().items() if name.endswith(".py")]


def pattern_of(term):
    """Return a pattern of a term as words and as parts of identifiers: ``a_story``, ``StoryTeller``."""
    capital = term[0].upper() + term[1:]
    words = rf"(?i:(?<![A-Za-z]){term}(?![A-Za-z]))"
    return re.compile(
        words if not term[0].isalpha() else rf"{words}|(?:(?<=[a-z])|(?<![A-Za-z])){capital}(?![a-z])"
    )


@pytest.mark.parametrize("term", OLD_TERMS)
def test_old_terms_are_gone(term):
    pattern, allowed = pattern_of(term), re.compile(ALLOWED.get(term, "(?!)"))
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts().items()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line) and not allowed.search(line)
    ]
    assert not found, f"{len(found)} lines; write instead: {OLD_TERMS[term]}\n" + "\n".join(found)


def nodes():
    """Yield the name of each file with Python code, with each node of the code."""
    for name, text in python():
        for node in ast.walk(ast.parse(text)):
            yield name, node


def test_old_names_are_gone():
    found = [
        f"{name}:{getattr(node, 'lineno', 0)}: {value}, not {OLD_NAMES[value]}"
        for name, node in nodes()
        for value in (getattr(node, field, None) for field in ("id", "attr", "arg", "name"))
        if isinstance(value, str) and value in OLD_NAMES
    ]
    assert not found, "\n".join(found)


def test_docstrings_do_not_begin_with_a_clause():
    found = []
    for name, node in nodes():
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = (ast.get_docstring(node) or "").partition("\n")[0]
            if CLAUSE.match(first):
                found.append(f"{name}:{getattr(node, 'lineno', 1)}: {first}")
    assert not found, f"{len(found)} docstrings\n" + "\n".join(found)


def test_names_of_tests_do_not_begin_with_a_clause():
    found = [
        f"{name}:{node.lineno}: {node.name}"
        for name, node in nodes()
        if isinstance(node, ast.FunctionDef) and CLAUSE.match(node.name.removeprefix("test_").capitalize())
    ]
    assert not found, "\n".join(found)


def test_comments_do_not_begin_with_a_clause():
    found = []
    for name, text in texts().items():
        if name.endswith(".py"):
            tokens = tokenize.generate_tokens(io.StringIO(text).readline)
            comments = [(t.start[0], t.string.lstrip("# ")) for t in tokens if t.type == tokenize.COMMENT]
        elif name.endswith((".js", ".mjs", ".ts", ".lua")):
            lines = enumerate(text.splitlines(), 1)
            comments = [(number, match["text"]) for number, line in lines if (match := COMMENT.match(line))]
        else:
            continue
        found += [f"{name}:{number}: {comment}" for number, comment in comments if CLAUSE.match(comment)]
    assert not found, f"{len(found)} comments\n" + "\n".join(found)


def test_descriptions_of_the_api_documents_do_not_begin_with_a_clause():
    found = []

    def visit(name, value):
        if isinstance(value, dict):
            for key, inner in value.items():
                if (
                    key in {"description", "summary", "title"}
                    and isinstance(inner, str)
                    and CLAUSE.match(inner)
                ):
                    found.append(f"{name}: {inner[:100]}")
                visit(name, inner)
        elif isinstance(value, list):
            for inner in value:
                visit(name, inner)

    visit("OpenAPI", openapi.document())
    visit("AsyncAPI", asyncapi.document())
    assert not found, "\n".join(found)
