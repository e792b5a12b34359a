"""The secrets of a deployment: created once, rotated, and renewed before they expire."""

from __future__ import annotations

import re
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from redis.exceptions import AuthenticationError
from support.deployment import ROOT, Deployment
from support.processes import BIN, inherited_environment, run
from support.tokens import token

from api.cli.system import deployment_secrets


def test_secrets_are_created_once(tmp_path):
    make = [BIN / "cto", "secrets", tmp_path / "s"]
    assert run(make, inherited_environment()).returncode == 0
    before = (tmp_path / "s" / "env").read_text()
    users = (tmp_path / "s" / "users.acl").read_text()
    rights = tmp_path / "rights"
    rights.write_text(
        (ROOT / "deploy" / "valkey" / "users.acl").read_text() + "user auditor on #{worker} +ping\n"
    )
    (tmp_path / "s" / "env").write_text(before.replace("GRAFANA_PASSWORD", "CTO_SITE"))  # as a user may add
    again = run([*make, "--rights", rights], inherited_environment())
    assert again.returncode == 0, again.stderr
    after = (tmp_path / "s" / "env").read_text()
    assert after.startswith(before.replace("GRAFANA_PASSWORD", "CTO_SITE"))
    assert after.splitlines()[-1].startswith("GRAFANA_PASSWORD="), "a missing value is added"
    added = (tmp_path / "s" / "users.acl").read_text().removeprefix(users)
    assert re.fullmatch(r"user auditor on #[0-9a-f]{64} \+ping\n", added), (
        "and the rights are those of the file"
    )
    assert (tmp_path / "s" / "env").stat().st_mode & 0o077 == 0
    assert (tmp_path / "s").stat().st_mode & 0o077 == 0
    for value in before.split():
        assert value.split("=")[1] not in (tmp_path / "s" / "users.acl").read_text()


def test_the_stores_passwords_are_rotated_in_two_steps():
    deployment = Deployment()

    def secrets(*rotate):
        command = [BIN / "cto", "secrets", deployment.secrets, *rotate]
        assert run(command, inherited_environment()).returncode == 0
        if "store" in deployment.processes:
            deployment.stop("store")
        deployment.start_store()
        return dict(line.split("=", 1) for line in (deployment.secrets / "env").read_text().splitlines())

    def accepts(values):
        deployment.values = values
        with deployment.store("worker") as store:
            try:
                return store.ping()
            except AuthenticationError:
                return False

    try:
        old = secrets()
        mounted = [(deployment.secrets / name).stat().st_ino for name in ("users.acl", "prometheus-token")]
        new = secrets("--rotate", "store")
        assert {name for name in old if old[name] != new[name]} == {name for name in old if "STORE_" in name}
        assert accepts(old), "for processes that still have it"
        assert accepts(new)
        assert secrets() == new
        assert not accepts(old)
        assert accepts(new)
        secrets("--rotate", "jwt", "--rotate", "prometheus")
        still = [(deployment.secrets / name).stat().st_ino for name in ("users.acl", "prometheus-token")]
        assert still == mounted, "a container sees changes of a mounted file, but not a file that replaces it"
    finally:
        deployment.down()


def test_the_prometheus_token_is_renewed_before_it_expires_and_with_a_new_key(tmp_path):
    folder, rights = tmp_path / "s", ROOT / "deploy" / "valkey" / "users.acl"
    deployment_secrets.make(folder, rights)

    def key():
        values = dict(line.split("=", 1) for line in (folder / "env").read_text().splitlines())
        return values["CTO_JWT_SECRET"]

    def claims():
        return jwt.decode((folder / "prometheus-token").read_text(), key(), algorithms=["HS256"])

    def has(signed):
        (folder / "prometheus-token").write_text(signed)
        deployment_secrets.make(folder, rights)
        return (folder / "prometheus-token").read_text() == signed

    first = claims()
    for name in ("jwt", "prometheus"):
        before, token_before = key(), (folder / "prometheus-token").read_text()
        time.sleep(1.1)  # tokens of one second are the same
        deployment_secrets.make(folder, rights, [name])
        assert (key() != before) == (name == "jwt")
        assert (folder / "prometheus-token").read_text() != token_before
        assert claims()["sub"] == first["sub"] == "prometheus"
    assert has(token("prometheus", key=key(), aud=None, exp=time.time() + deployment_secrets.RENEW_S + 3_600))
    assert not has(
        token("prometheus", key=key(), aud=None, exp=time.time() + deployment_secrets.RENEW_S - 3_600)
    )
    assert not has(token("prometheus", key=key(), aud=None, exp=time.time() - 1))
    assert has(token("prometheus", key="k" * 32)), "the token of another login"
    elsewhere = jwt.encode({"sub": "prometheus"}, generate_private_key(65537, 2048), algorithm="RS256")
    assert has(elsewhere)
    for damaged in ("", elsewhere[:50], "of.another.login"):
        assert not has(damaged)
        assert claims()["sub"] == "prometheus"


def test_a_rotation_that_stops_between_two_files_keeps_the_passwords_in_use(tmp_path):
    folder, rights = tmp_path / "s", ROOT / "deploy" / "valkey" / "users.acl"
    deployment_secrets.make(folder, rights)
    env, users = (folder / "env").read_text(), (folder / "users.acl").read_text()
    (folder / "users.acl").unlink()
    for in_the_way in (folder / "users.acl", folder / "env.new"):
        in_the_way.mkdir()
        with pytest.raises(IsADirectoryError):
            deployment_secrets.make(folder, rights, ["store"])
        in_the_way.rmdir()
        assert (folder / "env").read_text() == env
    written = (folder / "users.acl").read_text()
    assert all(hashed in written for hashed in re.findall(r"#[0-9a-f]{64}", users))
    deployment_secrets.make(folder, rights)
    assert ((folder / "env").read_text(), (folder / "users.acl").read_text()) == (env, users)
