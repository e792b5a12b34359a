"""The installed package `cto-progress`: it needs no build, no registry, and no second React."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import tarfile

import pytest
from support.javascript import CLIENT, DEV, NODE, NPM

from api.browser_client.npm_archive import pack

REACT = ("react", "react-dom", "scheduler")  # in the versions that clients/js/dev locks
SERVER = """
import { createElement as h } from "react";
import { renderToString } from "react-dom/server";
import { connect } from "cto-progress";
import { simulate } from "cto-progress/simulate";
import { CTOProvider, useCTOConnection, useCTOJob } from "cto-progress/react";

function Job({ id }) {
  const { progress, latest } = useCTOJob(id);
  return h("p", null, `${id} ${progress} ${latest} ${useCTOConnection().state}`);
}
for (const client of [connect({ url: "http://gateway" }), simulate()]) {
  console.log(renderToString(h(CTOProvider, { value: client }, h(Job, { id: "one" }))));
}
"""
RENDERED = "<p>one 0 null idle</p>\n" * 2


def run(folder, *command):
    done = subprocess.run(
        [NODE, *command], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def npm(tmp_path_factory):
    """Run npm with an empty cache and without a registry."""
    cache = tmp_path_factory.mktemp("npm-cache")
    options = ("--offline", "--no-audit", "--no-fund", "--loglevel=error", f"--cache={cache}")
    return lambda folder, *command: run(folder, NPM, *command, *options)


def copy_of_checkout(folder):
    """Copy the package's folder as in a clean checkout: without installed or generated files."""
    listed = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = subprocess.run(listed, cwd=CLIENT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (CLIENT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CLIENT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return copy_of_checkout(tmp_path_factory.mktemp("checkout") / "clients" / "js")


@pytest.fixture(scope="module")
def archive(npm, checkout, tmp_path_factory):
    """The archive that `npm pack` makes of a clean checkout."""
    folder = tmp_path_factory.mktemp("packed")
    return folder / npm(folder, "pack", checkout).strip()


@pytest.fixture(scope="module")
def react(npm, tmp_path_factory):
    """React's archives, made of what is installed, so that apps can be set up without a registry."""
    folder = tmp_path_factory.mktemp("react")
    sources = [DEV / "node_modules" / name for name in REACT]
    return [folder / name for name in npm(folder, "pack", "--ignore-scripts", *sources).split()]


@pytest.fixture
def app(tmp_path):
    """An empty app."""
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "package.json").write_text('{ "private": true, "type": "module" }')
    (folder / "server.js").write_text(SERVER)
    return folder


def test_an_archive_renders_on_a_server(npm, archive, react, app):
    npm(app, "install", archive, *react)
    assert run(app, "server.js") == RENDERED
    for name in ("", "/element", "/react", "/react-native", "/simulate"):
        run(app, "--input-type=module", "--eval", f"await import('cto-progress{name}')")


def test_a_copied_folder_renders_on_a_server(npm, checkout, react, app):
    npm(app, "install", "--install-links", checkout, *react)
    assert not (app / "node_modules" / "cto-progress").is_symlink()
    assert run(app, "server.js") == RENDERED


def test_a_linked_folder_has_no_react_of_its_own(npm, checkout, react, app):
    npm(app, "install", checkout, *react)
    assert (app / "node_modules" / "cto-progress").is_symlink()
    run(
        app,
        "--input-type=module",
        "--eval",
        "import { connect } from 'cto-progress'; connect({ url: 'ws://a' })",
    )
    (checkout / "dev" / "node_modules").symlink_to(DEV / "node_modules")  # as after `npm ci` in that folder
    assert run(app, "--preserve-symlinks", "server.js") == RENDERED


def test_a_linked_folder_in_the_app_renders_with_and_without_its_tools(npm, react, app):
    vendored = copy_of_checkout(app / "vendor" / "cto" / "clients" / "js")
    npm(app, "install", vendored, *react)
    assert (app / "node_modules" / "cto-progress").is_symlink()
    assert run(app, "server.js") == RENDERED
    locks = [lock.parent for lock in vendored.rglob("package-lock.json")]
    assert locks == [vendored / "dev"], "a linked package would load packages from other folders"
    (vendored / "dev" / "node_modules").symlink_to(DEV / "node_modules")
    assert run(app, "server.js") == RENDERED


def test_the_gateways_archive_equals_that_of_npm(archive, checkout):
    def content(opened):
        return {entry.name: (entry.mode, opened.extractfile(entry).read()) for entry in opened}

    packed = pack(checkout)
    assert pack(checkout) == packed, "npm compares the hash in package-lock.json"
    with tarfile.open(archive) as expected, tarfile.open(fileobj=io.BytesIO(packed)) as served:
        assert content(served) == content(expected)


def test_an_installation_runs_no_script_and_has_no_dependencies(checkout):
    package = json.loads((checkout / "package.json").read_text())
    assert "dependencies" not in package
    assert "devDependencies" not in package
    assert {"preinstall", "install", "postinstall", "prepare", "prepack"}.isdisjoint(package["scripts"])


def test_publint_and_the_checker_of_types_find_nothing(archive):
    modules = DEV / "node_modules"
    run(archive.parent, modules / "publint" / "src" / "cli.js", "run", archive.name, "--strict")
    checker = modules / "@arethetypeswrong" / "cli" / "dist" / "index.js"
    run(archive.parent, checker, archive.name, "--profile", "esm-only", "--no-emoji", "--no-color")


def test_every_link_in_the_packages_readme_has_a_target_in_the_archive(npm, archive, app):
    npm(app, "install", archive)
    installed = app / "node_modules" / "cto-progress"
    readme = (installed / "README.md").read_text()
    for target in re.findall(r"\]\(([^)#]+)", readme):
        assert target.startswith("https://") or (installed / target).exists(), target
    names = {"src", "types", "declarations", "package.json", "README.md", "CHANGELOG.md", "LICENSE"}
    assert {entry.name for entry in installed.iterdir()} == names


def test_the_react_module_is_marked_as_client_only():
    source = re.sub(r"/\*.*?\*/", "", (CLIENT / "src" / "react.js").read_text(), flags=re.DOTALL)
    assert source.strip().startswith('"use client";'), "otherwise a server component cannot import it"
