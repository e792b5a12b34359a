"""The file of profiles, and the choice of a gateway and its token."""

from __future__ import annotations

import os

import pytest

from api.cli import profiles
from api.cli.profiles import Profile, Profiles
from api.cli.rest_client import client_for
from cto_worker.config import Settings
from cto_worker.errors import ConfigError

SAVED = Profile("https://saved.example", 'to"k\\en\u00e9')
LOCAL = "http://127.0.0.1:3000"


@pytest.fixture(autouse=True)
def _directory(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


@pytest.fixture
def _saved():
    profiles.save(
        Profiles().with_profile("other", Profile("https://other.example", token_command="echo printed"))
    )
    profiles.save(profiles.load().with_profile("main", SAVED))


@pytest.mark.usefixtures("_saved")
def test_profiles_are_read_as_they_were_written():
    saved = profiles.load()
    assert saved.default == "main"
    assert saved.get("main") == SAVED
    assert saved.get("other").token_command == "echo printed"
    profiles.save(saved.without("main"))
    assert (profiles.load().default, list(profiles.load().by_name)) == ("", ["other"])
    with pytest.raises(ConfigError, match="use one of other"):
        profiles.load().get("main")


@pytest.mark.usefixtures("_saved")
def test_only_the_owner_can_read_the_file():
    assert profiles.path().stat().st_mode & 0o777 == 0o600
    assert profiles.path().parent.stat().st_mode & 0o777 == 0o700
    profiles.path().chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        profiles.load()


@pytest.mark.parametrize("text", ["default = ", "[profiles.x]\nurl = 'u'\npassword = 'p'", "profiles = [1]"])
def test_an_invalid_file_is_named(text):
    profiles.path().parent.mkdir()
    profiles.path().write_text(text)
    profiles.path().chmod(0o600)
    with pytest.raises(ConfigError, match=r"config\.toml"):
        profiles.load()


def test_without_a_file_there_are_no_profiles():
    assert profiles.load() == Profiles()


@pytest.mark.usefixtures("_saved")
@pytest.mark.parametrize(
    ("settings", "url", "name", "expected"),
    [
        ({}, None, None, (SAVED.url, SAVED.token)),
        ({"token": "t"}, None, None, (SAVED.url, "t")),
        ({"port": 3001}, None, None, ("http://127.0.0.1:3001", "")),
        ({"port": 3001, "token": "t"}, None, "other", ("https://other.example", "t")),
        ({"port": 3001}, None, "other", ("https://other.example", "printed")),
        ({}, LOCAL, None, (LOCAL, "")),
        ({"token": "t"}, "http://named.example", None, ("http://named.example", "t")),
    ],
)
def test_options_come_before_the_environment_and_both_before_the_default_profile(
    settings, url, name, expected
):
    client = client_for(Settings(**settings), url, name)
    assert (client.url, client.token()) == expected


@pytest.mark.usefixtures("_saved")
def test_a_signed_token_is_never_sent_to_a_saved_gateway():
    client = client_for(Settings(jwt_secret="s" * 32), None, "main")
    assert client.token() == SAVED.token
    assert "CTO_JWT_SECRET is ignored, because a saved profile selects the gateway" in client.access_advice
    assert "is ignored" in client_for(Settings(jwt_secret="s" * 32), "http://x").access_advice
    assert "set CTO_JWT_SECRET" in client_for(Settings(jwt_secret="s" * 32), LOCAL).access_advice


@pytest.mark.usefixtures("_saved")
def test_an_option_is_repeated_in_hints():
    assert client_for(Settings(), None, "main").options == " --profile main"
    assert client_for(Settings(), "http://x/?a b").options == " --url 'http://x/?a b'"
    assert client_for(Settings()).options == ""
    with pytest.raises(ConfigError, match="give one of them"):
        client_for(Settings(), "http://x", "main")


def test_the_output_of_a_command_is_used_for_a_minute(tmp_path):
    script = tmp_path / "print-token"
    script.write_text(f"#!/bin/sh\necho x >> {tmp_path}/count\necho token\n")
    script.chmod(0o700)
    profile = Profile("http://x", token_command=str(script))
    assert [profile.current_token() for _ in range(3)] == ["token"] * 3
    assert (tmp_path / "count").read_text() == "x\n"


@pytest.mark.parametrize("command", ["false", "/does/not/exist", "'unfinished"])
def test_a_command_that_fails_is_an_error(command):
    with pytest.raises(ConfigError, match="token_command failed"):
        Profile("http://x", token_command=command).current_token()


def test_a_folder_without_access_has_no_profiles(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", os.fspath(tmp_path / "file"))
    assert profiles.load() == Profiles()
