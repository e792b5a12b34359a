"""What the Dockerfile copies is what the package is built of: no engine is needed to try that."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[3]


def locked(name):
    return set(re.findall(r"^([\w.-]+)==", (ROOT / name).read_text(), re.MULTILINE))


def test_what_runs_is_installed_without_what_builds():
    assert "hatchling" in locked("requirements-build.lock")
    assert not locked("requirements.lock") & {"hatchling", "editables", "pathspec", "trove-classifiers"}
    built, run = (ROOT / "Dockerfile").read_text().rsplit("\nFROM ", 1)
    assert re.search(
        r"pip --python /app/bin/python install --require-hashes --requirement requirements\.lock$",
        built,
        re.MULTILINE,
    )
    assert "python -m pip uninstall --yes" in run
    assert "python -m compileall" in run, "nothing can be written where it runs"
    assert "--gid 10001" in run


def test_the_image_has_all_that_the_gateway_serves(tmp_path):
    for line in re.findall(r"^COPY (?!--)(.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE):
        *sources, target = line.split()
        for source in sources:
            place = tmp_path / "app" / target / ("" if (ROOT / source).is_dir() else source)
            place.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            copy(ROOT / source, place)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, ".", "--wheel-dir", tmp_path], cwd=tmp_path / "app", check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "api/Procfile" in names
    for folder, there in (
        (ROOT / "clients" / "js" / "src", "api/client"),
        (ROOT / "api" / "static", "api/static"),
    ):
        files = {f"{there}/{path.relative_to(folder)}" for path in folder.rglob("*") if path.is_file()}
        assert files <= names
