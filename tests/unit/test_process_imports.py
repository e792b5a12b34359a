"""Packages that processes do not import, because that would take a quarter of their start."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from support.cases import check_all

MODULES = ("api.wsgi", "cto_worker.app", "api.server.dispatcher")
IMPORTS = """
import gc, importlib, json, sys
importlib.import_module(sys.argv[1])
from cto_worker.process_imports import SKIPPED
loaded = [name for name in SKIPPED if name in sys.modules]
for name in SKIPPED:
    importlib.import_module(name)
print(json.dumps([loaded, gc.isenabled()]))
"""
STORE = """
import json, sys
import cto_worker.store.embedded
print(json.dumps([name for name in ("redis", "valkey") if name in sys.modules]))
"""


def run(source, *arguments, directory):
    done = subprocess.run(
        [sys.executable, "-c", source, *arguments],
        env=os.environ | {"CTO_AUTH": "off", "CTO_DATA_DIR": str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_process_skips_optional_packages_only_while_it_starts(tmp_path):
    def check(module):
        assert run(IMPORTS, module, directory=tmp_path) == [[], True]

    check_all([(module, [module]) for module in MODULES], check)


def test_the_embedded_store_starts_without_a_client_library(tmp_path):
    assert run(STORE, directory=tmp_path) == []


COMMANDS = """
import contextlib, io, json, sys
import api.cli.main
with contextlib.redirect_stdout(io.StringIO()):
    api.cli.main.main(["--help"], standalone_mode=False)
help = [name for name in sys.modules if name.startswith("api.cli.commands.")]
import api.cli.commands.cancel, api.cli.commands.jobs, api.cli.commands.show, api.cli.commands.submit
over_rest = [name for name in ("kombu", "redis", "sqlalchemy") if name in sys.modules]
import api.cli.commands.up_demo
print(json.dumps([help, over_rest, "sqlalchemy" in sys.modules]))
"""


def test_commands_import_only_what_they_need(tmp_path):
    assert run(COMMANDS, directory=tmp_path) == [[], [], False]
