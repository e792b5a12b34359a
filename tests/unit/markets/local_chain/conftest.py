"""A local chain in the test's process. Its blocks are produced by the test."""

from __future__ import annotations

import pytest
from support.local_chain import ChainInProcess


@pytest.fixture
def chain(tmp_path):
    chain = ChainInProcess(tmp_path / "local-chain.db")
    yield chain
    chain.local.close()
