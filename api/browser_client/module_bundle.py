"""Bundles JavaScript modules into one file, without Node: a gateway may run where only Python is installed.

It supports the syntax that the client's modules use: named imports, namespace imports, dynamic imports,
exported declarations, and lists of exports. Each module becomes a function that is called once and returns
the module's exports, so names of different modules cannot collide. Modules that are imported dynamically are
in the file as well.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_DOC_COMMENT = re.compile(r"/\*\*.*?\*/\n?", re.DOTALL)  # types, which contain `import("./types.js")`
_IMPORT = re.compile(r'^import (?:\* as (\w+)|\{([^}]*)\}) from "(\.[^"]+)";$', re.MULTILINE)
_DYNAMIC_IMPORT = re.compile(r'\bimport\("(\.[^"]+)"\)')
_EXPORT_LIST = re.compile(r'^export \{([^}]*)\}(?: from "(\.[^"]+)")?;$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:const|function|class) (\w+))", re.MULTILINE)
_UNSUPPORTED = re.compile(r"^(?:import|export)\b.*$", re.MULTILINE)


class BundleError(Exception):
    """A module uses syntax that the bundle does not support, or modules import each other in a cycle."""


def bundle(folder: Path, entries: Iterable[str]) -> str:
    """Return one module with all exports of these modules of ``folder``."""
    modules: dict[str, _Module | None] = {}  # in the order of evaluation; None while it is being added
    for entry in entries:
        _add((folder / entry).resolve(), folder.resolve(), modules)
    parts = [module.code for module in modules.values() if module]
    parts += [
        f"export const {{ {', '.join(module.exports)} }} = {_variable(entry)};"
        for entry in entries
        if (module := modules[entry])
    ]
    return "\n".join(parts) + "\n"


class _Module:
    """A module as a call of a function."""

    def __init__(self, name: str, text: str, resolve: dict[str, str]) -> None:
        self.exports: list[str] = []
        self._resolve = resolve
        code = _EXPORT_LIST.sub(self._export_list, _IMPORT.sub(self._import, text))
        code = _EXPORT.sub(self._export, code)
        code = _DYNAMIC_IMPORT.sub(lambda found: f"Promise.resolve({self._of(found[1])})", code)
        if unsupported := _UNSUPPORTED.search(code):
            raise BundleError(
                f"{name}: the bundle does not support {unsupported[0]!r}: use named imports and exports"
            )
        returned = f"return {{ {', '.join(self.exports)} }};"
        self.code = f"const {_variable(name)} = (() => {{\n{code.strip()}\n{returned}\n}})();"

    def _of(self, path: str) -> str:
        return _variable(self._resolve[path])

    def _import(self, found: re.Match[str]) -> str:
        namespace, names, path = found.groups()
        return f"const {namespace or f'{{{_renamed(names)}}}'} = {self._of(path)};"

    def _export_list(self, found: re.Match[str]) -> str:
        names, path = found.groups()
        self.exports += re.findall(r"(\w+)(?:,|\s*$)", names)
        return f"const {{{_renamed(names)}}} = {self._of(path)};" if path else ""

    def _export(self, found: re.Match[str]) -> str:
        self.exports.append(found[2])
        return found[1]


def _add(path: Path, folder: Path, modules: dict[str, _Module | None]) -> None:
    """Add a module behind those that it imports."""
    name = path.relative_to(folder).as_posix()
    if name in modules:
        if modules[name] is None:
            raise BundleError(
                f"{name} is part of an import cycle: move what its modules share to another one"
            )
        return
    modules[name] = None
    text = _DOC_COMMENT.sub("", path.read_text(encoding="utf-8"))
    paths = {found[-1] for found in _IMPORT.findall(text)} | set(_DYNAMIC_IMPORT.findall(text))
    paths |= {found for _, found in _EXPORT_LIST.findall(text) if found}
    resolve = {}
    for imported in sorted(paths):
        target = (path.parent / imported).resolve()
        _add(target, folder, modules)
        resolve[imported] = target.relative_to(folder).as_posix()
    del modules[name]
    modules[name] = _Module(name, text, resolve)


def _variable(name: str) -> str:
    """Return the variable with the exports of a module."""
    return "$" + re.sub(r"\W", "_", name.removesuffix(".js"))


def _renamed(names: str) -> str:
    """Return the names of an import as a destructuring pattern."""
    return re.sub(r"(\w+) as (\w+)", r"\1: \2", names)
