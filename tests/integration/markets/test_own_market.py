"""The market of docs/how-to/own-market.md passes the contract suite, and runs an operation."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest
from support.documents import block, blocks_run_by
from support.operations import run

from cto_worker.config import Settings
from cto_worker.market_registry import ENTRY_POINTS, is_market, platforms
from cto_worker.markets.market_loader import make_market
from cto_worker.testing.in_memory_journal import InMemoryJournal

PAGE = "docs/how-to/own-market.md"
MARKET = '"""A market with one token'
SUITE = '"""The contract suite'


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The folder with the files of the page, whose modules can be imported."""
    (tmp_path / "acme_market.py").write_text(block(PAGE, MARKET).code)
    (tmp_path / "test_acme_market.py").write_text(block(PAGE, SUITE).code)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("acme_market", None)


def test_the_market_of_the_page_passes_the_contract_suite(project):
    command = block(PAGE, "python -m pytest").code.split()
    done = subprocess.run(
        [sys.executable, *command[1:], "-q"], cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr


def test_an_operation_runs_on_the_market_of_the_page(project):
    name = "acme_market:AcmeMarket"
    market = make_market(Settings.from_env({"CTO_MARKET": name, "CTO_DATA_DIR": str(project)}), None)
    assert platforms(name) == ("acme",)
    result = run(InMemoryJournal(), market, mode="standard")
    assert (result["outcome"], result["platform"], result["successfulBuys"]) == ("full", "acme", 3)
    assert market.check().startswith("acme: 6 orders in ")


def test_the_page_names_the_group_of_entry_points(project):
    points = tomllib.loads(block(PAGE, "[project.entry-points").code)["project"]["entry-points"]
    ((name, factory),) = points[ENTRY_POINTS].items()
    assert name == "acme"
    assert is_market(factory)
    assert f"CTO_MARKET={factory} " in block(PAGE, "CTO_MARKET=").code


def test_this_file_runs_the_blocks_that_it_should():
    firsts = [each.first for each in blocks_run_by(__file__)]
    assert len(firsts) == 4
