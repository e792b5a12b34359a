"""The archive on both databases."""

from __future__ import annotations

import pytest

from cto_worker.archive.database import connect
from cto_worker.archive.schema_migration import migrate
from cto_worker.config import Settings

DATABASES = ["sqlite", "postgresql"]


def new_database(request, directory):
    """Return settings of an archive with an empty database of its own."""
    url = request.getfixturevalue("postgresql").new_database() if request.param == "postgresql" else ""
    return Settings(data_dir=directory, archive_url=url, auth="off")


@pytest.fixture(params=DATABASES)
def archive_settings(request, tmp_path):
    """Settings of an archive with an empty database of its own."""
    return new_database(request, tmp_path)


@pytest.fixture
def empty(archive_settings):
    """A database without tables."""
    engine = connect(archive_settings)
    yield engine
    engine.dispose()


@pytest.fixture
def engine(empty):
    """A database with this release's schema."""
    migrate(empty)
    return empty


@pytest.fixture(scope="module", params=DATABASES)
def shared_engine(request, tmp_path_factory):
    """A database with this release's schema, for all tests of a file that only read it."""
    engine = connect(new_database(request, tmp_path_factory.mktemp("archive")))
    migrate(engine)
    yield engine
    engine.dispose()
