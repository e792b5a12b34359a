"""``CTO_MARKET`` selects a market by its name."""

from __future__ import annotations

import pytest

from api.spec import openapi
from cto_worker.config import Settings
from cto_worker.domain.market_port import Market, MarketType
from cto_worker.errors import ConfigError, InvalidRequestError
from cto_worker.jobs.celery_app import celery_app
from cto_worker.jobs.job_producer import make_producer
from cto_worker.market_registry import MARKETS, market_type
from cto_worker.store.store_connection import connect


class OtherMarket:
    """A market with a platform that the paper market does not have."""

    platforms = ("orca",)


@pytest.fixture
def other(monkeypatch):
    monkeypatch.setitem(MARKETS, "other", f"{__name__}:OtherMarket")
    return Settings(market="other")


def methods(protocol):
    return {name for name in vars(protocol) if not name.startswith("_")}


@pytest.mark.parametrize("name", MARKETS)
def test_a_registered_market_has_the_methods_of_the_protocols(name):
    assert methods(Market) | methods(MarketType) <= set(dir(market_type(name)))
    assert isinstance(market_type(name).platforms, tuple)


def test_an_unknown_market_is_refused_with_the_markets_that_exist():
    expected = f"CTO_MARKET='no-such': Must be one of: {', '.join(MARKETS)}"
    with pytest.raises(ConfigError, match=expected):
        Settings.from_env({"CTO_MARKET": "no-such"})


def test_a_sender_accepts_the_platforms_of_the_selected_market_only(other):
    with connect(other) as store, pytest.raises(InvalidRequestError) as refused:
        make_producer(other, store, celery_app(other)).submit({"platform": "raydium"}, caller="test")
    assert refused.value.fields["platform"] == ["Unknown platform: must be one of orca."]


def test_the_openapi_document_names_the_platforms_of_the_selected_market(other):
    schema = openapi.document(market=other.market)["components"]["schemas"]["OperationRequest"]
    assert schema["properties"]["platform"]["enum"] == ["orca"]
