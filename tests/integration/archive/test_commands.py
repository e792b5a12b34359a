"""`cto migrate`, and the archive in `cto doctor`, on both databases."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from api.cli.main import main
from cto_worker.archive.schema_version import VERSIONS, check_schema


@pytest.fixture
def cto(archive_settings, settings, store):
    """Run a command with this archive and the test's store. Return its exit status and output."""
    archive_settings.socket_path.symlink_to(settings.socket_path)
    env = {
        "CTO_DATA_DIR": str(archive_settings.data_dir),
        "CTO_ARCHIVE_URL": archive_settings.archive_url,
        "CTO_AUTH": "off",
    }

    def cto(*arguments):
        result = CliRunner().invoke(main, arguments, env=env)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result.exit_code, result.output

    return cto


def test_cto_migrate_migrates_once_and_shows_no_password(cto, empty):
    status, output = cto("migrate")
    assert (status, output.partition(":")[0]) == (0, "migrated")
    assert output.endswith(f"from version 0 to {VERSIONS[-1]}\n")
    check_schema(empty)
    status, again = cto("migrate")
    assert (status, again.partition(":")[0]) == (0, "nothing to do")
    assert "secret-password" not in output + again


def test_an_unreachable_database_is_reported_without_its_password(archive_settings):
    url = "postgresql://cto:secret-password@127.0.0.1:9/cto"
    result = CliRunner().invoke(main, ["migrate"], env={"CTO_ARCHIVE_URL": url})
    assert result.exit_code == 1
    assert "the archive's database fails (" in result.output
    assert "check CTO_ARCHIVE_URL" in result.output
    assert "secret-password" not in result.output


def test_doctor_checks_the_schema(cto, archive_settings):
    def finding():
        _, output = cto("doctor", "--json")
        return next(finding for finding in json.loads(output) if finding["check"] == "archive")

    before = finding()
    if archive_settings.archive_url:
        assert before["right"] is False
        assert "run `cto migrate`" in before["text"]
    else:
        assert before["text"].endswith("created when a worker starts")
    cto("migrate")
    after = finding()
    assert after["right"] is True
    assert "0 ended jobs are not archived yet" in after["text"]
    assert "secret-password" not in json.dumps([before, after])
