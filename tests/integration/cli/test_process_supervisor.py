"""The supervisor: start order, restarts, output, and no process left at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.waiting import wait_until

PYTHON = sys.executable

# A supervisor of three processes that write their pids into a file. Files control their behaviour.
PROGRAM = """
import os, sys
from pathlib import Path
from api.cli.system.process_supervisor import Spec, Supervisor
here = Path(sys.argv[1])
child = [sys.executable, "-u", "-c", '''
import os, signal, subprocess, sys, time
from pathlib import Path
here, name = Path(sys.argv[1]), sys.argv[2]
def end(*_):
    (here / "ended").open("a").write(name + " ")
    sys.exit()
signal.signal(signal.SIGTERM, signal.SIG_IGN if (here / (name + ".stubborn")).exists() else end)
if (here / (name + ".misconfigured")).exists():
    print("the settings are wrong")
    sys.exit(78)
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
(here / "pids").open("a").write(f"{name} {os.getpid()} {grandchild.pid}\\\\n")
print("hello from", name)
print("\\\\x1b[2J\\\\rforged\\\\u2028|\\\\x85")
(here / (name + ".ready")).touch()
while True: time.sleep(60)
''']
def ready(name):
    (here / "asked").open("a").write(name + " ")
    return (here / (name + ".ready")).exists()
def spec(name):
    return Spec(name, [*child, str(here), name], ready=lambda: ready(name))
sys.exit(Supervisor([spec("first"), spec("second"), spec("third")], os.environ).run())
"""


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


class System:
    """A running supervisor."""

    def __init__(self, directory):
        self.directory = directory
        self.out = directory / "out"
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [PYTHON, "-c", PROGRAM, str(directory)], stdout=out, stderr=subprocess.STDOUT
            )

    def started(self):
        """Return name, process and grandchild of every start so far, in order."""
        pids = self.directory / "pids"
        lines = pids.read_text().splitlines() if pids.exists() else []
        return [(name, int(pid), int(grandchild)) for name, pid, grandchild in map(str.split, lines)]

    def up(self):
        wait_until(lambda: len(self.started()) >= 3)
        return self

    def nothing_left(self):
        wait_until(lambda: not any(alive(pid) for entry in self.started() for pid in entry[1:]))


@pytest.fixture
def start(tmp_path):
    systems = []

    def start(*flags):
        for flag in flags:
            (tmp_path / flag).touch()
        systems.append(System(tmp_path))
        return systems[-1]

    yield start
    for system in systems:
        system.process.kill()
        system.process.wait()
        for _, pid, grandchild in system.started():
            for number in (pid, grandchild):
                if alive(number):
                    os.kill(number, signal.SIGKILL)


def test_processes_start_in_order(start):
    assert [name for name, *_ in start().up().started()] == ["first", "second", "third"]


def test_readiness_is_not_checked_after_all_processes_have_started(start):
    """Each check of the store's readiness is a connection to it."""
    system = start().up()
    before = (system.directory / "asked").read_text()
    os.kill(system.started()[1][1], signal.SIGKILL)
    wait_until(lambda: len(system.started()) == 4)  # the supervisor has done its rounds meanwhile
    assert (system.directory / "asked").read_text() == before


def test_output_is_labelled_with_the_process_name(start):
    system = start().up()
    wait_until(lambda: "third  | hello from third" in system.out.read_text())
    wait_until(lambda: r"third  | \x1b[2J\rforged\u2028|\x85" in system.out.read_text())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_all_processes_the_first_one_last(start, number):
    system = start().up()
    system.process.send_signal(number)
    assert system.process.wait(20) == 0
    assert (system.directory / "ended").read_text().split()[-1] == "first"
    system.nothing_left()


def test_a_process_that_dies_is_restarted_and_its_children_end(start):
    system = start().up()
    name, pid, grandchild = system.started()[1]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(system.started()) == 4)
    assert system.started()[3][0] == name == "second"
    assert "second was killed by signal 9; restarting in 0.5 s" in system.out.read_text()
    wait_until(lambda: not alive(grandchild))


def test_a_process_that_dies_at_once_is_restarted_with_longer_delays(start):
    system = start().up()
    for count in (4, 5):
        os.kill(system.started()[-1][1], signal.SIGKILL)
        wait_until(lambda count=count: len(system.started()) == count)
    wait_until(lambda: "restarting in 1 s" in system.out.read_text())


def test_wrong_settings_stop_the_system_with_their_message(start):
    system = start("third.misconfigured")
    assert system.process.wait(20) == 78
    assert "the settings are wrong" in system.out.read_text()
    assert "restarting" not in system.out.read_text()
    system.nothing_left()


def test_a_second_signal_kills_processes_that_do_not_stop(start):
    system = start("second.stubborn").up()
    system.process.send_signal(signal.SIGTERM)
    wait_until((system.directory / "ended").exists)
    system.process.send_signal(signal.SIGTERM)
    assert system.process.wait(10) == 0
    system.nothing_left()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals a child when its parent dies")
def test_killing_the_supervisor_ends_its_children(start):
    system = start().up()
    system.process.kill()
    wait_until(lambda: not any(alive(pid) for _, pid, _ in system.started()))
