"""The layout of both packages: small folders, short modules, and no import cycles."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import grimp
import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("cto_worker", "api")
MAX_ENTRIES = 18  # at the top level of a package
MAX_MODULES = 15  # in a sub-package
MAX_LINES = 300
MAX_MEDIAN_LINES = 130


def modules_of(package):
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", PACKAGES)
def test_the_top_level_of_a_package_is_small(package):
    entries = [
        path.name for path in (ROOT / package).iterdir() if path.name not in {"__init__.py", "__pycache__"}
    ]
    assert len(entries) <= MAX_ENTRIES, sorted(entries)


def test_a_sub_package_is_small():
    folders = {module.parent for package in PACKAGES for module in modules_of(package)}
    sizes = {str(folder.relative_to(ROOT)): len(list(folder.glob("*.py"))) - 1 for folder in folders}
    assert {name: size for name, size in sizes.items() if size > MAX_MODULES} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_are_short(package):
    lengths = {
        str(module.relative_to(ROOT)): len(module.read_text().splitlines()) for module in modules_of(package)
    }
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_the_median_module_is_short():
    modules = [
        module for package in PACKAGES for module in modules_of(package) if module.name != "__init__.py"
    ]
    assert median(len(module.read_text().splitlines()) for module in modules) <= MAX_MEDIAN_LINES


def test_no_import_is_part_of_a_cycle():
    """Imports for type checkers only count too: a reader follows them as well."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    imports = {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}
    assert len(imports) > 100
    cycles = [
        f"{importer} -> {imported}"
        for importer, targets in in_cycles(imports).items()
        for imported in sorted(targets)
    ]
    assert not cycles, "\n".join(cycles)


def in_cycles(imports):
    """Return the imports that are left after the removal of every module without imports or importers."""
    left = imports
    while True:
        imported = set().union(*left.values()) if left else set()
        kept = {module for module, targets in left.items() if targets and module in imported}
        smaller = {module: left[module] & kept for module in kept}
        if smaller == left:
            return left
        left = smaller


def test_a_cycle_is_found():
    imports = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}
    assert in_cycles(imports) == {"b": {"c"}, "c": {"b"}}
