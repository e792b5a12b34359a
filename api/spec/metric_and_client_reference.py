"""Generates the reference of metrics and of the Python client from their source, as Markdown.

The source is parsed, not imported: the client is not installed beside the gateway, and a metric without a
sample does not show its labels.
"""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
METRICS = [
    "api/metric_definitions.py",
    "api/rest/metrics_endpoint.py",
    "cto_worker/observability/metric_definitions.py",
]
CLIENT = ROOT / "clients" / "python" / "src" / "cto_client"
KINDS = {
    "_counter": "counter",
    "CounterMetricFamily": "counter",
    "_histogram": "histogram",
    "GaugeMetricFamily": "gauge",
    "_by_kind": "gauge",
}


def sections() -> dict[str, str]:
    """Return the sections, by the names of their marks in the documents."""
    return {"metrics": _metrics_table(), "Python client": _python_client()}


def _metrics_table() -> str:
    rows = {row for file in METRICS for row in _metrics(ast.parse((ROOT / file).read_text()))}
    return "\n".join(["| metric | type | labels | meaning |", "|---|---|---|---|", *sorted(rows)]) + "\n"


def _metrics(module: ast.Module) -> Iterator[str]:
    for call in ast.walk(module):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in KINDS:
            texts = [str(each.value) for each in call.args if isinstance(each, ast.Constant)]
            if texts and texts[0].startswith("cto_"):
                kind = KINDS[call.func.id]
                ending = "_total" * (kind == "counter")
                yield f"| `{texts[0]}{ending}` | {kind} | {_labels(call)} | {texts[1]} |"


def _labels(call: ast.Call) -> str:
    if isinstance(call.func, ast.Name) and call.func.id == "_by_kind":
        return "`kind`"
    given = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "labels")]
    names = [ast.literal_eval(each) for each in given if isinstance(each, ast.List)]
    return ", ".join(f"`{name}`" for names in names for name in names)


def _python_client() -> str:
    exported = ast.parse((CLIENT / "__init__.py").read_text())
    imports = [node for node in exported.body if isinstance(node, ast.ImportFrom)]
    lines: list[str] = []
    for node in sorted(imports, key=lambda node: node.module or ""):
        source = (CLIENT / f"{(node.module or '').rpartition('.')[2]}.py").read_text()
        classes = {each.name: each for each in ast.parse(source).body if isinstance(each, ast.ClassDef)}
        for alias in node.names:
            lines += _class(classes[alias.name], source.splitlines())
    return "\n".join(lines)


def _class(node: ast.ClassDef, source: list[str]) -> list[str]:
    lines = [f"## {node.name}", "", *_docstring(node)]
    fields = [
        each for each in node.body if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
    ]
    if fields:
        rows = [_field(each, source[each.lineno - 1]) for each in fields]
        lines += ["| field | type | |", "|---|---|---|", *rows, ""]
    for each in node.body:
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and _is_public(each):
            lines += [f"### {node.name}{_name(each)}", "", f"`{_signature(each)}`", "", *_docstring(each)]
    return lines


def _is_public(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return (not node.name.startswith("_") or node.name == "__init__") and ast.get_docstring(node) is not None


def _name(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return "(…)" if node.name == "__init__" else f".{node.name}"


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    if any(isinstance(each, ast.Name) and each.id == "property" for each in node.decorator_list):
        return f"{node.name}: {ast.unparse(node.returns)}" if node.returns else node.name
    node.args.args = [each for each in node.args.args if each.arg != "self"]
    name = "async " * isinstance(node, ast.AsyncFunctionDef) + node.name.replace("__init__", "")
    returns = f" -> {ast.unparse(node.returns)}" if node.returns and node.name != "__init__" else ""
    return f"{name}({ast.unparse(node.args)}){returns}"


def _field(node: ast.AnnAssign, line: str) -> str:
    """Return a row; the comment at the end of the line describes the field."""
    kind = ast.unparse(node.annotation)
    optional = ", optional" * (" | UnsetType" in kind)
    kind = kind.replace(" | UnsetType", "").replace("|", "\\|")
    text = line.partition("  # ")[2].replace("``", "`")
    return f"| `{ast.unparse(node.target)}` | `{kind}`{optional} | {text} |"


def _docstring(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Return a docstring as Markdown: roles of Sphinx become code."""
    text = inspect.cleandoc(ast.get_docstring(node) or "").replace("``", "`")
    for role in (":class:", ":meth:", ":func:", ":data:"):
        text = text.replace(role, "")
    return [text.replace("`~cto_client.", "`"), ""] if text else []
