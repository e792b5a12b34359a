"""The Dockerfile copies all sources of the package. No container engine is needed for this test."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from api.browser_client.npm_archive import pack

ROOT = Path(__file__).parents[3]


def locked(name):
    return set(re.findall(r"^([\w.-]+)==", (ROOT / name).read_text(), re.MULTILINE))


def test_build_packages_are_not_in_the_runtime_stage():
    assert "hatchling" in locked("requirements-build.lock")
    assert not locked("requirements.lock") & {"hatchling", "editables", "pathspec", "trove-classifiers"}
    build_stage, runtime_stage = (ROOT / "Dockerfile").read_text().rsplit("\nFROM ", 1)
    assert re.search(
        r"pip --python /app/bin/python install --require-hashes --requirement requirements\.lock$",
        build_stage,
        re.MULTILINE,
    )
    assert "python -m pip uninstall --yes" in runtime_stage
    assert "python -m compileall" in runtime_stage, "containers cannot write bytecode"
    assert "--gid 10001" in runtime_stage


def test_the_image_has_all_files_that_the_gateway_serves(tmp_path):
    build_stage = (ROOT / "Dockerfile").read_text().split(" AS build\n")[1]
    for line in re.findall(r"^COPY (?!--)(.*)$", build_stage, re.MULTILINE):
        *sources, target = line.split()
        for source in sources:
            place = tmp_path / "app" / target / ("" if (ROOT / source).is_dir() else Path(source).name)
            place.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            copy(ROOT / source, place)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, ".", "--wheel-dir", tmp_path], cwd=tmp_path / "app", check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "api/Procfile" in names
    for folder, target in (
        (ROOT / "clients" / "js" / "src", "api/client/src"),
        (ROOT / "api" / "static", "api/static"),
    ):
        files = {f"{target}/{path.relative_to(folder)}" for path in folder.rglob("*") if path.is_file()}
        assert files <= names
    with tarfile.open(fileobj=io.BytesIO(pack(ROOT / "clients" / "js"))) as archive:
        packed = {entry.name.removeprefix("package/") for entry in archive}
    assert {f"api/client/{name}" for name in packed} <= names, "the gateway could not pack the client for npm"


def test_the_image_contains_the_site_of_the_documentation():
    text = (ROOT / "Dockerfile").read_text()
    guide, build = text.split(" AS guide\n")[1].split(" AS build\n")
    assert "RUN pip install --require-hashes --requirement requirements-docs.lock\n" in guide
    assert "RUN python docs/site/build.py\n" in guide
    assert build.index("COPY --from=guide /src/api/guide api/guide\n") < build.index("pip wheel"), (
        "the wheel contains the site"
    )
    assert "sphinx" in locked("requirements-docs.lock") - locked("requirements.lock")


def test_a_wheel_contains_the_site_if_it_is_built(tmp_path):
    left_out = shutil.ignore_patterns("guide", "__pycache__", "node_modules", "dev", "examples")
    for name in ("api", "cto_worker", "clients/js"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=left_out)
    for name in ("pyproject.toml", "README.md", "Procfile", ".gitignore"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "api" / "guide").mkdir()
    (tmp_path / "api" / "guide" / "index.html").write_text("<h1>Documentation</h1>")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, ".", "--wheel-dir", tmp_path], cwd=tmp_path, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert "api/guide/index.html" in zipfile.ZipFile(wheel).namelist(), "although git ignores it"
