"""The previous release, from the history of the repository: its packages, and its browser client."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

# The commit of 0.2.0, which each release replaces by its own. Not the tag, because a clone may have no tags.
COMMIT = "82caea2f21c43ad9511e5f53c8add99f3c154aff"
PROJECT = Path(__file__).parents[2]
PARTS = ("api", "cto_worker", "clients/js/src", "clients/js/package.json")


class Release:
    """The files of one release. Its server runs in the environment of the tests."""

    def __init__(self, folder):
        self.folder = folder
        self.browser_client = folder / "clients" / "js" / "src"
        # Python would otherwise import the packages of the current directory.
        self.environment = {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}


CURRENT = Release(PROJECT)


def extract(folder):
    """Write the previous release into a folder, and return it."""
    files = subprocess.run(["git", "archive", COMMIT, *PARTS], cwd=PROJECT, capture_output=True, check=False)
    if files.returncode:
        pytest.fail(
            f"this test needs commit {COMMIT} of the previous release: run it in a clone with history. "
            f"A shallow clone gets it with `git fetch --unshallow`. git: {files.stderr.decode().strip()}"
        )
    with tarfile.open(fileobj=io.BytesIO(files.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return Release(folder)
