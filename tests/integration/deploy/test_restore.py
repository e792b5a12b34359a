"""deploy/valkey/restore.sh: which answers of valkey-cli prove that the store is stopped."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "deploy" / "valkey" / "restore.sh"
ADDRESS = "store:6379"
FAILED = f"Could not connect to Valkey at {ADDRESS}: "
STOPPED = [
    "Connection refused",
    "Name or service not known",  # glibc
    "Name does not resolve",  # musl, in the store's image
]
UNCLEAR = [
    "Temporary failure in name resolution",
    "Try again",  # musl's text for the same
    "No route to host",
    "Network is unreachable",
    "Connection timed out",
]
RUNNING = ["PONG", "NOAUTH Authentication required.", "LOADING Valkey is loading the dataset in memory", ""]


@pytest.fixture
def restore(tmp_path):
    """Run the script on a directory with data. Data change if it succeeds, and only then."""
    directory = tmp_path / "store"
    (directory / "appendonlydir").mkdir(parents=True)
    (directory / "appendonlydir" / "old").touch()
    program = tmp_path / "bin" / "valkey-cli"
    program.parent.mkdir()

    def restore(*arguments, answer="PONG"):
        program.write_text(f"#!/bin/sh\nprintf '%s\\n' {shlex.quote(answer)} >&2\n")
        program.chmod(0o755)
        done = subprocess.run(
            ["sh", SCRIPT, directory, *arguments],
            env=os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}"},
            input="VALKEY080",
            capture_output=True,
            text=True,
            check=False,
        )
        changed = not (directory / "appendonlydir" / "old").exists()
        assert changed == (done.returncode == 0), done.stderr
        assert changed or "Nothing was changed" in done.stderr
        return done

    return restore


@pytest.mark.parametrize("reason", STOPPED)
def test_a_store_that_refuses_connections_or_is_unknown_is_replaced(restore, reason):
    assert restore(ADDRESS, answer=FAILED + reason).returncode == 0


@pytest.mark.parametrize("reason", UNCLEAR)
def test_an_unclear_answer_counts_as_a_running_store(restore, reason):
    refused = restore(ADDRESS, answer=FAILED + reason)
    assert refused.returncode == 1
    assert f"a store may run at {ADDRESS}" in refused.stderr
    assert reason in refused.stderr
    assert restore(ADDRESS, "--stopped", answer=FAILED + reason).returncode == 0


@pytest.mark.parametrize("answer", RUNNING)
def test_a_store_that_answers_is_never_replaced(restore, answer):
    for arguments in ([ADDRESS], [ADDRESS, "--stopped"]):
        refused = restore(*arguments, answer=answer)
        assert (refused.returncode, f"a store runs at {ADDRESS}" in refused.stderr) == (1, True)


def test_without_an_address_and_a_socket_the_store_counts_as_running(restore):
    refused = restore()
    assert (refused.returncode, "pass its HOST:PORT, or --stopped" in refused.stderr) == (1, True)
    assert restore("--stopped").returncode == 0


def test_the_embedded_stores_socket_is_asked(restore, tmp_path):
    with socket.socket(socket.AF_UNIX) as store:
        store.bind(str(tmp_path / "store.sock"))
        store.listen()
        for arguments in ([], ["--stopped"]):
            refused = restore(*arguments)
            assert (refused.returncode, "a store runs at" in refused.stderr) == (1, True)
    assert restore().returncode == 0, "a killed store leaves its socket behind"


def test_an_unknown_argument_changes_nothing(restore):
    assert restore("--stoped").returncode == 2
