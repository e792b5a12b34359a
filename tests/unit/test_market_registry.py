"""``CTO_MARKET`` selects a market by its name, or by its factory."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import EntryPoint, EntryPoints

import pytest
from support.cases import check_all

from api.cli.system.doctor import examine
from api.spec import openapi
from cto_worker import market_registry
from cto_worker.config import Settings
from cto_worker.domain.market_port import MarketDescription, Money
from cto_worker.errors import ConfigError, InvalidRequestError
from cto_worker.jobs.celery_app import celery_app
from cto_worker.jobs.job_producer import make_producer
from cto_worker.market_registry import MARKETS, names, platforms
from cto_worker.markets.market_loader import description, make_market
from cto_worker.store.store_connection import connect
from cto_worker.testing.in_memory_market import InMemoryMarket


class OtherMarket(InMemoryMarket):
    """A market with a platform that the paper market does not have. The class is its factory."""

    platforms = ("orca",)

    def __init__(self, settings, connect):
        super().__init__(patience_s=settings.lease_ms / 1000)
        self.store = connect("")


class Half:
    """An object without most of the port."""

    patience_s = 1

    def submit(self, orders):
        raise NotImplementedError


def anonymous(settings, connect):
    return InMemoryMarket()


def failing(settings, connect):
    raise OSError("no route to host")


def demanding(settings, connect):
    raise ConfigError("ACME_URL is not set: set it")


def half(settings, connect):
    return Half()


no_factory = 7


@pytest.fixture
def here(monkeypatch):
    """Make this module importable by its name, as an installed package is. Return the name."""
    monkeypatch.setitem(sys.modules, "acme_market", sys.modules[__name__])
    return "acme_market"


@pytest.fixture
def installed(monkeypatch, here):
    """Install two packages that have an entry point."""

    def entry_points(**selection):
        points = EntryPoints(
            EntryPoint(name, f"{here}:{factory}", market_registry.ENTRY_POINTS)
            for name, factory in {"acme": "OtherMarket", "paper": "failing"}.items()
        )
        return points.select(**selection)

    monkeypatch.setattr(market_registry, "entry_points", entry_points)


def out_of_reach(settings, connect):
    return InMemoryMarket(broken=("check",))


def made(name, connect=lambda _: "the store"):
    return make_market(Settings.from_env({"CTO_MARKET": name}), connect)


def test_each_of_our_markets_has_every_part_of_the_port_and_names_its_platforms(store):
    for name in MARKETS:
        assert made(name, lambda _: store)
        assert platforms(name)
    assert made("paper", lambda _: store).check().startswith("paper")


def test_a_market_without_a_description_counts_as_real_money(here, store):
    plain = made(f"{here}:anonymous")
    assert description(plain, "acme") == MarketDescription("acme", Money.REAL)
    assert description(made("paper", lambda _: store), "paper").money is Money.SIMULATED


def test_a_factory_is_called_with_the_settings_and_the_way_to_the_store(here):
    market = made(f"{here}:OtherMarket")
    assert (market.store, market.patience_s) == ("the store", Settings().lease_ms / 1000)
    assert platforms(f"{here}:OtherMarket") == ("orca",)
    assert isinstance(made(f"{here}:anonymous"), InMemoryMarket)
    assert platforms(f"{here}:anonymous") == (), "a request may name any"


def test_an_installed_package_offers_a_market_by_its_name(installed):
    assert names() == [*MARKETS, "acme"]
    assert isinstance(made("acme"), OtherMarket)
    assert platforms("acme") == ("orca",)


def test_no_package_can_replace_one_of_our_markets(installed, store):
    assert made("paper", lambda _: store).check().startswith("paper")


def test_a_text_that_is_no_market_is_refused_with_the_forms_that_are():
    def check(text):
        with pytest.raises(ConfigError) as refused:
            Settings.from_env({"CTO_MARKET": text})
        assert f"CTO_MARKET={text!r}: Must be one of paper, solana, or like package.module:factory" in str(
            refused.value
        )

    texts = [
        "no-such",
        "acme",
        "acme.market",
        "acme.market:",
        ":make",
        "acme/market.py:make",
        "a:b:c",
        "a b:c",
    ]
    check_all([(text, (text,)) for text in texts], check)


PROBLEMS = {
    "no_such_package.market:make": "there is no module no_such_package. Install its package",
    "{here}:no_such": "the module {here} has no function or class 'no_such'",
    "{here}:no_factory": "the module {here} has no function or class 'no_factory'",
    "{here}:failing": "its factory raised OSError: no route to host",
    "{here}:demanding": "ACME_URL is not set: set it",
    "{here}:half": "the Half that its factory returned lacks check, account, detect, strategy",
}


def test_a_market_that_cannot_be_made_is_a_wrong_setting_with_a_remedy(here):
    def check(name, expected):
        with pytest.raises(ConfigError) as refused:
            made(name.format(here=here))
        assert expected.format(here=here) in str(refused.value)

    check_all([(name, (name, expected)) for name, expected in PROBLEMS.items()], check)


def test_a_module_that_cannot_be_imported_is_a_wrong_setting(tmp_path, monkeypatch):
    (tmp_path / "broken_market.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match="the import of broken_market raised ZeroDivisionError"):
        platforms("broken_market:make")


def test_a_sender_accepts_the_platforms_of_the_selected_market_only(here):
    settings = Settings.from_env({"CTO_MARKET": f"{here}:OtherMarket"})
    with connect(settings) as store, pytest.raises(InvalidRequestError) as refused:
        make_producer(settings, store, celery_app(settings)).submit({"platform": "raydium"}, caller="test")
    assert refused.value.fields["platform"] == ["Unknown platform: must be one of orca."]


def test_the_openapi_document_names_the_platforms_of_the_selected_market(here):
    schema = openapi.document(market=f"{here}:OtherMarket")["components"]["schemas"]["OperationRequest"]
    assert schema["properties"]["platform"]["enum"] == ["orca"]


def test_doctor_makes_and_checks_the_market(here, store, settings):
    def check(market, right, text):
        selected = replace(settings, market=market)
        (found,) = [finding for finding in examine(selected) if finding.check == "market"]
        assert (found.right, found.text) == (right, text)
        assert right or found.mend

    its_own = "the market's own settings, or the factory"
    cases = [
        ("paper", True, "paper: simulated, no real money moves"),
        (f"{here}:anonymous", True, "in memory, for tests"),
        (f"{here}:out_of_reach", False, f"{here}:out_of_reach does not answer: the test has broken check"),
        (
            f"{here}:failing",
            False,
            f"CTO_MARKET={here}:failing: its factory raised OSError: no route to host. Correct {its_own}",
        ),
    ]
    check_all([(case[0], case) for case in cases], check)


@pytest.mark.parametrize("module", ["api.wsgi", "cto_worker.app"])
def test_gateway_and_worker_do_not_start_without_their_market(module, settings):
    env = os.environ | {"CTO_MARKET": "no_such_package:make", "CTO_AUTH": "off"}
    env["CTO_DATA_DIR"] = str(settings.data_dir)
    command = [sys.executable, "-m", module]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == os.EX_CONFIG
    assert "does not start: CTO_MARKET=no_such_package:make: there is no module" in done.stderr
    assert "Traceback" not in done.stderr
