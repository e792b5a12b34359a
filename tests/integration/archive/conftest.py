"""The archive on both databases."""

from __future__ import annotations

import pytest

from cto_worker.archive.database import connect
from cto_worker.archive.schema_migration import migrate
from cto_worker.config import Settings


@pytest.fixture(params=["sqlite", "postgresql"])
def archive_settings(request, tmp_path):
    """Settings of an archive with an empty database of its own."""
    url = request.getfixturevalue("postgresql").new_database() if request.param == "postgresql" else ""
    return Settings(data_dir=tmp_path, archive_url=url, auth="off")


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
