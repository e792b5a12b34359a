"""A gateway's REST side with an archive on each database."""

from __future__ import annotations

from dataclasses import replace

import pytest

from api.auth.authentication import Authenticator
from api.flask_app import create_app
from api.history.archive_reader import archive_reader
from cto_worker.archive.database import connect
from cto_worker.archive.schema_migration import migrate
from cto_worker.domain.journal_ports import Journal
from cto_worker.jobs.archiver import Archiver
from cto_worker.store.ended_jobs import EndedJobs


@pytest.fixture(params=["sqlite", "postgresql"])
def archive_settings(request, settings, tmp_path):
    """The settings of the store, with an archive of this test."""
    if request.param == "postgresql":
        return replace(settings, archive_url=request.getfixturevalue("postgresql").new_database())
    return replace(settings, data_dir=tmp_path, redis_url=f"unix://{settings.socket_path}")


@pytest.fixture
def engine(archive_settings):
    engine = connect(archive_settings)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def archiver(store, engine, archive_settings):
    """The archiver, as a worker has it."""
    return Archiver(EndedJobs(store, archive_settings), engine, archive_settings)


@pytest.fixture
def rest(store, journal, engine, archive_settings):
    authenticator = Authenticator(archive_settings, lambda _: False)
    reader = archive_reader(archive_settings)
    app = create_app(archive_settings, authenticator, store, Journal.of(journal), None, reader)
    app.testing = False
    yield app.test_client()
    reader.close()
