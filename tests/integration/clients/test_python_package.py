"""The package of the Python client: what it contains, and what it installs."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import requires
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[3] / "clients/python"
MAX_PACKAGES = 10


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    directory = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", directory]
    subprocess.run(build, cwd=PACKAGE, check=True, capture_output=True)
    return next(directory.glob("*.whl"))


def test_the_wheel_contains_the_types_and_the_licence(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "cto_client/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.split("/")[0] for name in names if name.endswith(".py")} == {"cto_client"}


def test_the_wheel_imports_nothing_of_the_server(wheel):
    code = (
        f"import sys; sys.path.insert(0, {str(wheel)!r}); import cto_client; "
        "print(cto_client.__file__, sorted({name.split('.')[0] for name in sys.modules}))"
    )
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert str(wheel) in output
    for name in ("'api'", "'cto_worker'", "'flask'", "'redis'", "'celery'", "'eventlet'"):
        assert name not in output


def test_it_installs_few_packages():
    required = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]["dependencies"]
    found, waiting = set(), [re.match(r"[\w-]+", text)[0] for text in required]
    while waiting:
        name = waiting.pop()
        found.add(name)
        lines = [line for line in requires(name) or [] if ";" not in line]
        waiting += {re.match(r"[\w-]+", line)[0] for line in lines} - found
    assert len(found) + 1 <= MAX_PACKAGES, sorted(found)
