"""The lines of supervised processes: labels, levels and the quiet form."""

from __future__ import annotations

import io

import pytest

from api.cli.system.process_output import ProcessOutput

INFO = "2026-11-30T08:06:17.156430Z [info     ] worker@vm ready.               [celery.apps.worker]"
WARNING = "2026-11-30T08:06:17.156430Z [warning  ] the store is slow        [cto_worker.store]"
ERROR = "2026-11-30T08:06:17.156430Z [error    ] the handler failed         [api.rest]"
STORE = "8899:M 30 Nov 2026 08:06:13.966 * Ready to accept connections"
STORE_WARNING = "8899:M 30 Nov 2026 08:06:13.966 # WARNING Memory overcommit must be enabled!"
JSON_INFO, JSON_ERROR = '{"event": "x", "level": "info"}', '{"event": "x", "level": "error"}'


class Terminal(io.StringIO):
    def isatty(self):
        return True


def lines(output):
    return output.out.getvalue().splitlines()


@pytest.fixture
def quiet():
    return ProcessOutput(io.StringIO(), ["store", "worker"], quiet=True)


@pytest.mark.parametrize("text", [INFO, STORE, JSON_INFO, "no level"])
def test_a_quiet_output_hides_lines_below_a_warning(quiet, text):
    quiet.write(text, "worker")
    quiet.write("ready", "cto")
    assert lines(quiet) == ["cto    | ready"]


@pytest.mark.parametrize(
    "text", [WARNING, ERROR, STORE_WARNING, JSON_ERROR, "Traceback (most recent call last):"]
)
def test_a_quiet_output_shows_warnings_and_errors(quiet, text):
    quiet.write(text, "worker")
    assert lines(quiet) == [f"worker | {text}"]


def test_lines_without_a_level_continue_the_line_before(quiet):
    for text in (ERROR, "  in a traceback", INFO, "  after it"):
        quiet.write(text, "worker")
    quiet.write("  of another process", "store")
    assert lines(quiet) == [f"worker | {ERROR}", "worker |   in a traceback"]


def test_the_last_hidden_lines_of_a_process_that_failed_are_shown_once(quiet):
    for number in range(30):
        quiet.write(f"line {number}", "worker")
    quiet.show_hidden("store")
    quiet.show_hidden("worker")
    quiet.show_hidden("worker")
    assert lines(quiet) == [f"worker | line {number}" for number in range(10, 30)]


def test_a_level_has_a_colour_in_a_terminal(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    output = ProcessOutput(Terminal(), ["store", "worker"])
    for text in (INFO, WARNING, ERROR):
        output.write(text, "worker")
    info, warning, error = lines(output)
    assert info.endswith(INFO)
    assert f"\x1b[33m{WARNING}\x1b[0m" in warning
    assert f"\x1b[31m{ERROR}\x1b[0m" in error


def test_no_color_removes_all_colours(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    output = ProcessOutput(Terminal(), ["store", "worker"])
    output.write(ERROR, "worker")
    assert lines(output) == [f"worker | {ERROR}"]


def test_json_lines_are_formatted_and_filtered():
    output = ProcessOutput(io.StringIO(), ["worker"], lambda text, name: f"{name}:{text}", quiet=True)
    for text in (JSON_INFO, JSON_ERROR, ""):
        output.write(text, "worker")
    assert lines(output) == [f"worker:{JSON_ERROR}"]
