"""The log lines of all processes. With CTO_LOG_FORMAT=json each is one JSON object."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime

import requests
from support.waiting import wait_until


def lines(system):
    """Return every line, parsed."""
    found = []
    for text in system.log.read_text().splitlines():
        line = json.loads(text)
        assert isinstance(line, dict), text
        assert {"timestamp", "level", "event", "process"} <= line.keys(), text
        assert datetime.fromisoformat(line["timestamp"]).utcoffset() is not None, text
        assert line["level"] in {"debug", "info", "warning", "error", "critical"}, text
        found.append(line)
    return found


def test_every_line_is_one_json_object(launch):
    system = launch(CTO_LOG_FORMAT="json", CTO_FLOWER_PASSWORD="a password of some length").ready()
    wait_until(lambda: "Visit me at" in system.output())
    completed, failed = system.submit(), system.submit(buyAmount=1_000)
    assert system.ended(completed)["status"] == "completed"
    assert system.ended(failed)["status"] == "failed"
    assert requests.get(f"{system.url}/nowhere", timeout=10).status_code == 404
    assert requests.get(system.url, headers={"Host": "evil.example"}, timeout=10).status_code == 403
    assert requests.get(f"{system.url}/socket.io/?EIO=3", timeout=10).status_code == 400
    wait_until(lambda: f'"{failed}"' in system.output())
    assert system.stop() == 0

    output = lines(system)
    for job_id, events in {
        completed: ["started: prefunded, 0.05 SOL, user 7", "completed: "],
        failed: ["started: prefunded, 1000.0 SOL, user 7", "failed: insufficient_funds"],
    }.items():
        of_job = [line for line in output if line.get("job_id") == job_id and line["process"] == "worker"]
        for line, event in zip(of_job, events, strict=True):
            assert line["event"].startswith(event)
            assert line["attempt"] == 1
    assert not [line for line in output if completed in line["event"] or failed in line["event"]]
    # The supervisor converts lines without a logger. In a container nothing would convert them.
    assert {line["process"] for line in output if line.get("logger", "printed") == "printed"} <= {
        "cto",
        "store",
    }
    for job_id in (completed, failed):
        accepted = [line for line in output if line.get("job_id") == job_id and line["process"] == "gateway"]
        assert [line["event"] for line in accepted] == ["accepted from service"]
    assert any(line["event"].startswith("refused a request from 127.0.0.1") for line in output)
    of_library = [line for line in output if "unsupported version" in line["event"]]
    assert [line["process"] for line in of_library] == ["gateway"]
    assert {line["process"] for line in output} == {"cto", "store", "worker", "gateway", "flower"}


PROGRAM = """
import sys, threading, warnings
from cto_worker.observability import logging_setup
from cto_worker.config import Settings
logging_setup.configure(Settings(log_format="json"))
print("printed,", "and", end=" ")
print("more\\nand again")
sys.stderr.write("written\\n")
warnings.warn("an old way", UserWarning, stacklevel=1)
def fail():
    hidden = "of a frame"
    raise ValueError("in a thread")
thread = threading.Thread(target=fail, name="one")
thread.start()
thread.join()
logging_setup.say("logged in a signal handler")
raise KeyError("at the end")
"""


def test_printed_text_and_exceptions_become_json_objects():
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    output = [json.loads(line) for line in ran.stderr.splitlines()]
    events = [line["event"] for line in output]
    assert events[:3] == ["printed, and more", "and again", "written"]
    assert "an old way" in events[3]
    assert output[3]["logger"] == "py.warnings"
    assert events[4:] == ["the thread one ends", "logged in a signal handler", "the process ends"]
    assert [one["exception"][0]["exc_value"] for one in (output[4], output[6])] == [
        "in a thread",
        "'at the end'",
    ]
    assert "of a frame" not in ran.stderr


CONTROLS = "".join(map(chr, [*range(32), *range(127, 160), 0x61C, 0x200E, *range(0x2028, 0x202F), 0x2066]))
FORGERY = f"x\n2001-01-01T00:00:00.000000Z [info     ] FORGED{CONTROLS}"
FORGER = f"""
import logging, sys, threading, warnings
from cto_worker.observability import logging_setup
from cto_worker.config import Settings
logging_setup.configure(Settings(log_format=sys.argv[1]))
forgery = {FORGERY!r}
class Named:
    def __repr__(self):
        return forgery
for name in ("engineio.server", "werkzeug", "celery.worker", "tornado.general"):
    logging.getLogger(name).error("Invalid session %s", forgery)
logging.getLogger("api").warning("beside it", extra={{"user": forgery, "named": Named()}})
warnings.warn(forgery, UserWarning, stacklevel=1)
try:
    try:
        raise ValueError(forgery)
    except ValueError as error:
        error.add_note(forgery)
        raise KeyError(forgery) from error
except KeyError:
    logging.getLogger("api").exception("it broke: %s", forgery)
logging_setup.say(forgery)
def fail():
    raise ValueError(forgery)
thread = threading.Thread(target=fail, name=forgery)
thread.start()
thread.join()
raise ValueError(forgery)
"""


def test_log_lines_cannot_be_forged_and_contain_no_control_character():
    for log_format in ("console", "json"):
        ran = subprocess.run(
            [sys.executable, "-c", FORGER, log_format], capture_output=True, timeout=60, check=False
        )
        output = ran.stderr.decode()
        assert (ran.returncode, ran.stdout) == (1, b"")
        assert output.count("FORGED") >= 12, output
        assert not set(output) & set(CONTROLS) - {"\n"}, log_format
        for line in output.splitlines():
            if log_format == "json":
                json.loads(line)
            else:
                assert not line.startswith("2001-01-01"), line
        assert log_format == "json" or "Traceback" in output
