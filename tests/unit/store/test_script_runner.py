"""Scripts with named keys and arguments."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from redis import Redis

import cto_worker
from cto_worker.store import keys
from cto_worker.store.script_runner import Script

RENEW = {"lease_ms": 5}
RELEASE = {"job": "cto:job:j1", "job_id": "j1", "attempt": 2}


@pytest.fixture
def script():
    return lambda name: Script(Redis(), name)  # nothing connects before the script runs


def test_named_values_are_bound_in_the_order_of_the_script(script):
    assert script("release").bind(**dict(reversed(RELEASE.items()))) == (1, ["cto:job:j1", "j1", 2])


def test_further_arguments_follow_the_named_ones(script):
    renew = script("renew")
    assert renew.bind(["j1", 1], **RENEW) == (0, [5, "j1", 1])
    assert "\nlocal REST = 2\n" in renew.source


def test_names_may_continue_on_the_next_line(script):
    assert "\nlocal REST = 14\n" in script("append").source


@pytest.mark.parametrize("wrong", [{"attempt": None}, {"attempts": 3}])
def test_a_missing_or_unknown_name_is_an_error(script, wrong):
    given = {name: value for name, value in (RELEASE | wrong).items() if value is not None}
    with pytest.raises(TypeError, match=r"release\.lua: give job, job_id, attempt, not job, job_id"):
        script("release").bind(**given)


def test_a_script_has_the_constants_that_it_uses(script):
    source = script("release").source
    assert f"local RESUME_CHECK_DELAY_MS = {keys.RESUME_CHECK_DELAY_MS}\n" in source
    assert 'local DUE = "cto:due"\n' in source
    assert "SWEEP_LIMIT" not in source


SCRIPTS = sorted(path for path in Path(cto_worker.__file__).parent.rglob("*.lua") if path.stem != "prelude")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_declares_every_key_and_argument_once(path):
    code = re.sub(r"--.*", "", path.read_text())
    declarations = re.findall(r"^local ([a-z_,\s]+?) = unpack\((?:KEYS|ARGV)\)$", code, re.MULTILINE)
    names = [name for declared in declarations for name in re.split(r",\s*", declared)]
    assert len(set(names)) == len(names), "a key and an argument must not share a name"
    others = re.sub(r"^local [a-z_,\s]+? = unpack\((KEYS|ARGV)\)$", "", code, flags=re.MULTILINE)
    assert not re.search(r"\bKEYS\b", others)
    assert "ARGV" not in others or "REST" in others
