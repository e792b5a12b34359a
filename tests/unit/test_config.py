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
