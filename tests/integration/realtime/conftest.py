"""The parts that all transports share, on the test's store."""

from __future__ import annotations

import threading

import pytest

from api.auth.authentication import Authenticator
from api.auth.token_revocations import Revocations
from api.history.archive_reader import archive_reader
from api.history.job_history import JobHistory
from api.limits.fifo_semaphore import FifoSemaphore
from api.realtime.client_service import ClientService
from api.realtime.connection_registry import ConnectionRegistry
from api.relay.relay import Relay
from cto_worker.store.journal_queries import JournalQueries


@pytest.fixture
def service(store, settings, archive):
    revocations, history = Revocations(store), JobHistory(store, archive_reader(settings))
    authenticator, connections = (
        Authenticator(settings, revocations.revoked),
        ConnectionRegistry(revocations, 5),
    )
    service = ClientService(
        authenticator, connections, FifoSemaphore(1), Relay(store, JournalQueries(store)), history
    )
    thread = threading.Thread(target=service.relay.run)
    thread.start()
    yield service
    service.relay.stop()
    thread.join()
