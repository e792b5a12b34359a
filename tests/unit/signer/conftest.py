"""A database of the signer in a directory of its own."""

from __future__ import annotations

import secrets

import pytest

from cto_worker.signer import database
from cto_worker.signer.master_key import MasterKey


@pytest.fixture
def connection(tmp_path):
    with database.opened(tmp_path / "signer") as connection:
        yield connection


@pytest.fixture
def master_key():
    return MasterKey(secrets.token_bytes(32))
