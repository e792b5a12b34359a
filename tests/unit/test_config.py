"""Validation of the settings."""

from __future__ import annotations

import pytest

from cto_worker.config import Settings
from cto_worker.errors import ConfigError


@pytest.mark.parametrize(
    "origins",
    [
        "http://localhost:5173/",
        "localhost:5173",
        "http://LOCALHOST:5173",
        "*",
        "http://a.example,https://b.example/x",
    ],
)
def test_an_origin_that_no_browser_sends_is_refused(origins):
    with pytest.raises(ConfigError, match=r"CTO_CORS_ORIGINS.*write it as browsers do"):
        Settings.from_env({"CTO_CORS_ORIGINS": origins})


def test_a_list_of_origins_is_read():
    settings = Settings.from_env({"CTO_CORS_ORIGINS": "http://localhost:5173, https://app.example"})
    assert settings.cors_origins == ("http://localhost:5173", "https://app.example")


def test_a_payee_is_a_solana_address():
    address = "So11111111111111111111111111111111111111112"
    assert Settings.from_env({"CTO_SIGNER_PAYEES": f"{address}, {address}"}).signer_payees == (address,) * 2
    for invalid in ("exchange", address[:-1], f"{address},0"):
        with pytest.raises(ConfigError, match="is not a Solana address"):
            Settings.from_env({"CTO_SIGNER_PAYEES": invalid})


def test_an_invalid_variable_is_reported_with_its_value_and_the_allowed_values():
    with pytest.raises(ConfigError, match=r"CTO_PORT='0': Must be greater than or equal to 1 and .* 65535"):
        Settings.from_env({"CTO_PORT": "0"})


def test_secrets_are_never_shown():
    secret = "a-secret"
    with pytest.raises(ConfigError, match="CTO_FLOWER_PASSWORD=…: Must have 12 characters") as refused:
        Settings.from_env({"CTO_FLOWER_PASSWORD": secret, "CTO_REDIS_URL": secret})
    assert secret not in str(refused.value)
    names = ["jwt_secret", "token", "redis_url", "limits_url", "paper_url", "sentinel_password"]
    assert secret not in repr(Settings(**dict.fromkeys(names, secret), flower_password=secret))
