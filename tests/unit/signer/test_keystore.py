"""Keys at rest: sealed, bound to their user and address, and sealed again with another master key."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import secrets
import traceback

import base58
import pytest
from solders.keypair import Keypair

from cto_worker.errors import ConfigError, CtoError, KeystoreError, SignerRefusedError
from cto_worker.signer import database, keystore
from cto_worker.signer.keystore import MAX_WALLETS, Keystore
from cto_worker.signer.master_key import MasterKey, create_master_key, read_master_key
from cto_worker.signer.private_files import check_private, is_private
from cto_worker.signer.secret_key import SecretKey, parse_secret_key

SEED = bytes(range(100, 132))
KEYPAIR = bytes(Keypair.from_seed(SEED))


@pytest.fixture
def keys(connection, master_key):
    return Keystore(connection, master_key)


def row(connection, address):
    return connection.execute("SELECT sealed FROM wallets WHERE address = ?", (address,)).fetchone()[0]


def test_a_key_signs_as_solana_does(keys):
    secret_key = SecretKey(SEED)
    pair = Keypair.from_seed(SEED)
    assert secret_key.address == str(pair.pubkey())
    assert secret_key.sign(b"message") == bytes(pair.sign_message(b"message"))
    keys.import_key("7", secret_key, "root")
    assert keys.secret_key("7", secret_key.address).sign(b"message") == secret_key.sign(b"message")


def test_a_sealed_key_opens_only_in_its_place(connection, master_key, keys):
    first, second = keys.generate("7", 2, "root")
    (third,) = keys.generate("8", 1, "root")
    sealed = row(connection, first)
    other_seal = master_key.seal(master_key.unseal(sealed, "7", first), "7")
    modified = bytes([sealed[0] ^ 1]) + sealed[1:]
    cases = {
        "of another wallet": (master_key, sealed, "7", second),
        "of another user": (master_key, sealed, "8", first),
        "of both": (master_key, sealed, "8", third),
        "modified": (master_key, modified, "7", first),
        "cut": (master_key, sealed[:-1], "7", first),
        "empty": (master_key, b"", "7", first),
        "another master key": (MasterKey(secrets.token_bytes(32)), sealed, "7", first),
    }
    opened = []
    for name, (key, *arguments) in cases.items():
        try:
            key.unseal(*arguments)
            opened.append(name)
        except KeystoreError:
            pass
    assert not opened
    assert other_seal != sealed, "each seal has a nonce of its own"


def test_a_wallet_that_somebody_wrote_into_the_database_is_no_destination(connection, keys):
    (own,) = keys.generate("7", 1, "root")
    stranger = SecretKey.generate().address
    connection.execute("INSERT INTO wallets VALUES (?, '7', 1, ?)", (stranger, row(connection, own)))
    with pytest.raises(KeystoreError, match="cannot decrypt the key"):
        keys.owns("7", stranger)
    assert keys.owns("7", own)
    assert not keys.owns("8", own)


def test_only_an_operator_adds_users(keys):
    with pytest.raises(SignerRefusedError) as refused:
        keys.open_wallets("7", 3)
    assert refused.value.code == "user_not_found"
    (funding,) = keys.generate("7", 1, "root")
    opened = keys.open_wallets("7", 3)
    assert (opened[0], len(opened)) == (funding, 4)
    assert keys.open_wallets("7", 2) == opened
    with pytest.raises(SignerRefusedError) as refused:
        keys.open_wallets("7", MAX_WALLETS)
    assert refused.value.code == "too_many_wallets"


def test_a_wallet_has_one_user(keys):
    keys.import_key("7", SecretKey(SEED), "root")
    for user_id in ("7", "8"):
        with pytest.raises(ConfigError, match="exists already"):
            keys.import_key(user_id, SecretKey(SEED), "root")
    with pytest.raises(ConfigError, match="user id is 'a/b'"):
        keys.generate("a/b", 1, "root")


def test_rotation_seals_every_key_with_the_new_master_key(connection, master_key, keys):
    found = [*keys.generate("7", 2, "root"), *keys.generate("8", 1, "root")]
    before = [row(connection, address) for address in found]
    new = MasterKey(secrets.token_bytes(32))
    assert keys.rotate(new, "root") == 3
    assert not {*before} & {row(connection, address) for address in found}
    again = Keystore(connection, new)
    assert [again.owns(user_id, address) for user_id, address in zip("778", found, strict=True)] == [True] * 3
    with pytest.raises(KeystoreError, match=f"master key {new.key_id}, but .* {master_key.key_id}"):
        Keystore(connection, master_key)


def test_a_failed_rotation_changes_nothing(connection, master_key, keys):
    first, second = keys.generate("7", 2, "root")
    connection.execute("UPDATE wallets SET sealed = ? WHERE address = ?", (b"damaged", second))
    before = row(connection, first)
    with pytest.raises(KeystoreError):
        keys.rotate(MasterKey(secrets.token_bytes(32)), "root")
    assert row(connection, first) == before
    assert Keystore(connection, master_key).owns("7", first)


def test_changes_are_logged(connection, master_key, keys):
    keys.import_key("7", SecretKey(SEED), "root")
    keys.open_wallets("7", 1)
    keys.rotate(master_key, "root")
    entries = [(each.operator, each.action, each.user_id) for each in keystore.changes(connection)]
    assert entries == [("root", "import", "7"), ("worker", "generate", "7"), ("root", "rotate", "")]


def test_imports_accept_the_two_usual_forms():
    for text in (json.dumps([*KEYPAIR]), f" {base58.b58encode(KEYPAIR).decode()}\n"):
        assert parse_secret_key(text).address == SecretKey(SEED).address


def test_no_text_of_an_error_contains_the_secret():
    secret = base58.b58encode(KEYPAIR).decode()
    numbers = json.dumps([*KEYPAIR])
    halves = SEED + bytes(SecretKey(bytes(32)).sign(b"")[:32])
    invalid = {
        "a character more": f"{secret}0",
        "a character less": secret[:-1],
        "the seed alone": SEED.hex(),
        "a number less": json.dumps([*KEYPAIR][:-1]),
        "a large number": numbers.replace("100", "1000"),
        "no number": numbers.replace("100", '"100"'),
        "a cut array": numbers[:-1],
        "other halves": json.dumps([*halves]),
        "nothing": "",
    }
    for name, text in invalid.items():
        with pytest.raises(ConfigError) as refused:
            parse_secret_key(text)
        shown = "".join(traceback.format_exception(refused.value))
        parts = (text[:12], text[-12:], SEED.hex()[:12], secret[:12])
        assert not [part for part in parts if part and part in shown], name
        assert refused.value.__context__ is None, name


def test_no_text_of_a_key_contains_the_secret(master_key, caplog):
    secret_key = SecretKey(SEED)
    caplog.set_level(logging.INFO)
    logging.getLogger("test").info("%s %r %s", secret_key, secret_key, [master_key])
    assert f"{secret_key} {master_key}" == (
        f"SecretKey(address={secret_key.address!r}) MasterKey(key_id={master_key.key_id!r})"
    )
    assert str(SEED)[2:-1] not in caplog.text
    assert SEED.hex() not in caplog.text
    for key in (secret_key, master_key):
        for copied in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="cannot be pickled"):
                copied(key)


def test_a_master_key_is_read_from_a_private_file_only(tmp_path):
    path = tmp_path / "key"
    created = create_master_key(path)
    assert read_master_key(str(path)).key_id == created.key_id
    with pytest.raises(KeystoreError, match="exists and is not overwritten"):
        create_master_key(path)
    path.chmod(0o644)
    with pytest.raises(KeystoreError, match=r"other users have access .*mode 644"):
        read_master_key(str(path))
    with pytest.raises(KeystoreError, match="cannot read"):
        read_master_key(str(tmp_path / "missing"))
    with pytest.raises(ConfigError, match="CTO_SIGNER_KEY_FILE is not set, and there is no default"):
        read_master_key("")


@pytest.mark.parametrize("text", ["", "secret", "0" * 64, "0123456789abcdef" * 4, "ab" * 31, "é" * 64])
def test_a_file_without_a_random_key_is_refused(tmp_path, text):
    path = tmp_path / "key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="contains no master key") as refused:
        read_master_key(str(path))
    assert refused.value.__context__ is None
    assert not text or text not in str(refused.value)


def test_access_to_a_file_by_owner_and_mode():
    cases = {
        "the user alone": (1000, 0o600, 1000, True),
        "read-only": (1000, 0o400, 1000, True),
        "its group": (1000, 0o640, 1000, False),
        "others": (1000, 0o604, 1000, False),
        "another user's": (1001, 0o600, 1000, False),
        "root's": (0, 0o600, 1000, True),
        "root's, through the group, as a credential": (0, 0o440, 1000, True),
        "root's, which the group can write": (0, 0o660, 1000, False),
        "root's, for others": (0, 0o444, 1000, False),
        "root as the user, with the group": (0, 0o640, 0, False),
    }
    results = {
        name: is_private(owner=owner, mode=mode, user=user) for name, (owner, mode, user, _) in cases.items()
    }
    assert results == {name: private for name, (*_, private) in cases.items()}


def test_the_database_is_private(tmp_path):
    directory = tmp_path / "signer"
    with database.opened(directory):
        modes = {path.name: path.stat().st_mode & 0o777 for path in [directory, *directory.iterdir()]}
    assert modes == {"signer": 0o700, "keys.db": 0o600, "keys.db-wal": 0o600, "keys.db-shm": 0o600}
    (directory / "keys.db").chmod(0o640)
    with pytest.raises(KeystoreError, match="mode 640"), database.opened(directory):
        pass
    directory.chmod(0o755)
    with pytest.raises(KeystoreError, match="with mode 700"):
        check_private(directory)


def test_only_one_signer_uses_a_database(tmp_path):
    with (
        database.exclusive(tmp_path / "signer"),
        pytest.raises(CtoError, match="stop it first"),
        database.exclusive(tmp_path / "signer"),
    ):
        pass


def test_a_database_of_another_release_is_refused(tmp_path):
    with database.opened(tmp_path / "signer") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(KeystoreError, match="schema 99"), database.opened(tmp_path / "signer"):
        pass


def test_a_backup_has_the_same_keys(tmp_path, connection, master_key, keys):
    (address,) = keys.generate("7", 1, "root")
    copied = tmp_path / "copy"
    copied.mkdir(mode=0o700)
    database.back_up(connection, copied / "keys.db")
    with database.opened(copied) as restored:
        assert Keystore(restored, master_key).owns("7", address)
