"""The demonstration uses nothing of the permanent system that the command's settings describe."""

from __future__ import annotations

import pytest

from api.cli.system.demo_settings import demo_environment
from api.cli.system.demo_tokens import uses_local_chain
from cto_worker.config import VARIABLES, Settings
from cto_worker.errors import ConfigError

PERMANENT = {
    "CTO_HOST": "192.0.2.1",
    "CTO_LIMITS_URL": "redis://permanent/1",
    "CTO_JWT_SECRET": "s" * 32,
    "CTO_TOKEN": "t",
    "CTO_REDIS_URL": "redis://permanent/0",
    "CTO_DATA_DIR": "/permanent",
    "CTO_REPLICAS": "2",
    "CTO_ARCHIVE_URL": "postgresql://permanent/archive",
    "CTO_PAPER_URL": "redis://permanent/2",
    "CTO_SOLANA_RPC_URL": "https://permanent.example",
    "CTO_SOLANA_MAINNET": "yes",
    "CTO_SOLANA_SWAP_URL": "https://permanent.example/swap/v2",
    "CTO_SIGNER_SOCKET": "/permanent/signer.sock",
    "CTO_SIGNER_KEY_FILE": "/permanent/master.key",
    "CTO_HEARTBEAT_FILE": "/permanent/heartbeat",
}
OWN = {
    "CTO_PORT": "3999",
    "CTO_PAPER_LATENCY_MS": "20",
    "CTO_LOG_FORMAT": "json",
    "PATH": "/bin",
    "CTO_X": "1",
}
INHERITED = """
    CONFIRM_SOL CORS_ORIGINS ENGINE EXPLORER_URL FLOWER_CONTROL FLOWER_HOST FLOWER_NAMES FLOWER_PORT
    FLOWER_TASKS LEASE_MS LOCAL_CHAIN_PORT LOCAL_CHAIN_SLOT_MS LOG_FORMAT MARKET MAX_ROOMS MAX_SOCKETS
    MAX_USER_SOCKETS OPERATION_PARALLELISM OTLP_ENDPOINT PAPER_BALANCE_SOL PAPER_DROPPED_RATE
    PAPER_EXPIRY_MS PAPER_FAILURE_RATE PAPER_LATE_RATE PAPER_LATENCY_MS PAPER_LOST_RATE PAPER_SILENT_RATE
    PAPER_TIMEOUT_MS PORT PROXIES RATE_LIMIT TRACE_URL WORKER_CONCURRENCY
"""


def test_the_demonstration_inherits_only_settings_that_name_nothing_permanent():
    environ = demo_environment("/tmp/demo", dict.fromkeys(VARIABLES, "") | PERMANENT | OWN)
    own = {"CTO_DATA_DIR": "/tmp/demo", "CTO_AUTH": "off", "CTO_HOST": "127.0.0.1"}
    assert {name: value for name, value in environ.items() if value} == OWN | own
    assert environ.keys() & VARIABLES == own.keys() | {f"CTO_{name}" for name in INHERITED.split()}, (
        "decide whether a temporary system may inherit a new setting"
    )
    assert Settings.from_env(environ).embedded


def test_the_demonstration_trades_only_on_its_own_markets():
    solana = demo_environment("/tmp/demo", PERMANENT | {"CTO_MARKET": "solana"})
    assert uses_local_chain(Settings.from_env(solana))
    for market in ("example_market", "package.module:factory"):
        with pytest.raises(ConfigError, match=rf"CTO_MARKET={market}.* run `CTO_MARKET=paper .*demo`"):
            demo_environment("/tmp/demo", {"CTO_MARKET": market})
