"""Messages about a store that is unreachable at start."""

from __future__ import annotations

from pathlib import Path

import pytest

from cto_worker.config import Settings
from cto_worker.store.store_reachability import store_name, unreachable

SENTINELS = "redis+sentinel://worker:secret@one:26379,two:26380/mymaster/0"


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"redis_url": "redis://worker:secret@store:6379/2"}, "the store at redis://store:6379/2"),
        ({"redis_url": "redis://:se%40cret@store:6379"}, "the store at redis://store:6379"),
        ({"redis_url": "rediss://store"}, "the store at rediss://store"),
        ({"redis_url": SENTINELS}, "the store mymaster of the Sentinels one:26379,two:26380"),
        ({"data_dir": Path("/data")}, "the embedded store in /data"),
    ],
)
def test_a_store_is_named_without_its_password(settings, name):
    assert store_name(Settings(**settings)) == name


def test_the_reason_an_unreachable_store_is_reported_in_one_line():
    reason = unreachable(Settings(redis_url="redis://worker:secret@127.0.0.1:1/0"))
    assert reason.startswith("the store at redis://127.0.0.1:1/0 is not reachable: Error 111 connecting")
    assert "secret" not in reason
    assert len(reason.splitlines()) == 1
