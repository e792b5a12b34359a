"""The example bot on a real system. A restarted bot continues, and starts no operation twice."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.processes import environment
from support.samples import MINT
from support.system import System
from support.waiting import assert_stays, wait_until

ROOT = Path(__file__).parents[2]
BOT, CLIENT = ROOT / "examples" / "bot.py", ROOT / "clients" / "python" / "src"


class Bot:
    def __init__(self, env, state):
        self.out = state.with_suffix(".out")
        with self.out.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, BOT, state],
                env=env | {"CTO_URL": f"http://127.0.0.1:{env['CTO_PORT']}", "PYTHONPATH": str(CLIENT)},
                stdin=subprocess.PIPE,
                stdout=out,
                text=True,
            )

    def update(self, text):
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()

    def output(self, chat_id):
        messages = [json.loads(line) for line in self.out.read_text().splitlines()]
        return [(each["message"], each["text"]) for each in messages if each["chatId"] == chat_id]

    def finish(self):
        self.process.stdin.close()
        return self.process.wait(60)


@pytest.fixture
def bot(system, tmp_path):
    made = []

    def bot(env=system.env):
        made.append(Bot(env, tmp_path / "state.json"))
        return made[-1]

    yield bot
    for each in made:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait()
        each.process.stdin.close()


def test_a_restarted_bot_follows_each_operation_to_its_end(system, bot):
    first = bot()
    first.update(f"1 botuser 77 /cto {MINT} 0.8 40")
    wait_until(lambda: len(first.output(77)) > 5)
    first.process.kill()
    first.process.wait()
    second = bot()
    second.update(f"1 botuser 77 /cto {MINT} 0.8 40")  # it was killed before it acknowledged this update
    for invalid in ("", "9 botuser chat /cto x 1"):
        second.update(invalid)
    second.update("8 botuser 80 /help")
    second.update(f"2 botuser 78 /cto {MINT} 0.05 2")
    second.update("3 botuser 79 /cto nonsense 1")
    second.update("4 botuser 79 /cancel unknown")
    assert second.finish() == 0
    jobs = system.get("/api/cto/jobs", userId="botuser")["jobs"]
    assert len(jobs) == 2
    for chat_id in (77, 78):
        (message,) = {message for message, _ in second.output(chat_id)}
        assert message in {job["jobId"] for job in jobs}
        last = second.output(chat_id)[-1][1]
        assert last.startswith("100 % CTO Operation Completed")
    answers = [text for _, text in second.output(79)]
    assert len(answers) == 2
    assert "tokenAddress" in answers[0]
    assert "no job unknown" in answers[1]
    assert [text[:8] for _, text in second.output(80)] == ["Use /cto"]


def test_an_update_waits_while_the_gateway_is_unreachable(bot):
    env = environment()
    early = bot(env)
    early.update(f"1 botuser 77 /cto {MINT} 0.05 2")
    assert_stays(lambda: early.process.poll() is None, for_s=3)
    system = System(env, "--no-flower").ready()
    try:
        assert early.finish() == 0
    finally:
        system.stop()
        shutil.rmtree(env["CTO_DATA_DIR"])
    assert early.output(77)[-1][1].startswith("100 % CTO Operation Completed")
