"""The signer as a process: its socket, refusals, limits over a kill, rotation, and where its keys are."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from solders.pubkey import Pubkey
from solders.signature import Signature
from support.canary import Canary, processes_below
from support.documents import block
from support.messages import instruction, legacy, transfer
from support.processes import BIN, Process
from support.signer import Signer
from support.waiting import wait_until

from cto_worker.errors import ConfigError, SignerError, SignerRefusedError, SignerUnavailableError
from cto_worker.signer.client import SignerClient
from cto_worker.signer.program_rules import MEMO
from cto_worker.signer.protocol import MAX_MESSAGES
from cto_worker.signer.server import SignerServer, uids

PAGE = "docs/how-to/signer.md"
SOL = 10**9
EXCHANGE, STRANGER = (str(Pubkey.new_unique()) for _ in range(2))
RUN = "cto signer run\n"


@pytest.fixture(scope="module")
def canary():
    return Canary()


@pytest.fixture(scope="module")
def signer(canary):
    """The signer of the guide: four wallets of user 7, and the canary as the imported wallet of user 8."""
    signer = Signer(CTO_SIGNER_PAYEES=EXCHANGE, CTO_SIGNER_ORDER_SOL="2", CTO_SIGNER_DAILY_SOL="3")
    secret = signer.directory / "wallet.json"
    secret.write_text(json.dumps([*canary.keypair]))
    try:
        listed = run(signer, block(PAGE, "cto signer create-key master").code.replace(RUN, ""))
        assert listed.count(canary.address) == 2, "when it is imported, and in the list"
        secret.unlink()
        signer.env["CTO_SIGNER_KEY_FILE"] = str(signer.directory / "master.key")
        signer.start()
        yield signer
    finally:
        signer.close()


def run(signer, code):
    """Run commands of the guide in the data directory."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        cwd=signer.directory,
        env=signer.env | {"PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def payment(wallet, lamports, number=1):
    return legacy(wallet, transfer(wallet, EXCHANGE, lamports), blockhash=number)


def code_of(client, message, user_id, wallet):
    """Return the code of the refusal of a message; empty if it is signed."""
    try:
        signature = client.sign(message, user_id=user_id, wallet=wallet)
    except SignerRefusedError as error:
        return error.code
    assert Signature.from_bytes(signature).verify(Pubkey.from_string(wallet), message)
    return ""


def test_a_message_is_signed_or_refused(signer, canary):
    funding, first, *_ = signer.client.addresses("7")
    to_stranger, own = (
        legacy(first, transfer(first, STRANGER, 1)),
        legacy(first, transfer(first, funding, SOL)),
    )
    cases = {
        "a transfer to the user's own wallet": (own, "7", first, ""),
        "the same again": (own, "7", first, ""),
        "a transfer to a stranger": (to_stranger, "7", first, "destination_not_allowed"),
        "a transfer to another user's wallet": (
            legacy(first, transfer(first, canary.address, 1)),
            "7",
            first,
            "destination_not_allowed",
        ),
        "another user's wallet": (own, "8", first, "wallet_unknown"),
        "an unknown user": (own, "9", first, "wallet_unknown"),
        "another wallet of the user": (own, "7", funding, "signers_not_allowed"),
        "an unknown program": (
            legacy(first, instruction(STRANGER, b"", first, signers=[first])),
            "7",
            first,
            "program_not_allowed",
        ),
        "above the limit of an order": (payment(first, 2 * SOL), "7", first, "order_limit_exceeded"),
        "no message": (b"\0", "7", first, "message_invalid"),
    }
    codes = {name: code_of(signer.client, *arguments) for name, (*arguments, _) in cases.items()}
    assert codes == {name: code for name, (*_, code) in cases.items()}
    assert "refused for user 7" in signer.log.read_text()


def test_several_messages_have_a_result_each(signer):
    _, first, second, *_ = signer.client.addresses("7")
    memos = {
        wallet: legacy(wallet, instruction(MEMO, b"7", wallet, signers=[wallet]))
        for wallet in (first, second)
    }
    results = signer.client.sign_all([*memos.items(), (second, memos[first])], user_id="7")
    assert [type(each) for each in results] == [bytes, bytes, SignerRefusedError]
    assert results[2].code == "signers_not_allowed"
    with pytest.raises(SignerError, match=f"send at most {MAX_MESSAGES}"):
        signer.client.sign_all([(first, memos[first])] * (MAX_MESSAGES + 1), user_id="7")


def test_a_market_opens_wallets_of_known_users(signer):
    known = signer.client.addresses("7")
    opened = signer.client.open_wallets("7", len(known))
    assert opened[: len(known)] == known
    assert len(opened) == len(known) + 1
    with pytest.raises(SignerRefusedError, match="user 9 has no funding wallet"):
        signer.client.open_wallets("9", 1)


def test_socket_and_files_are_private(signer):
    path = signer.directory / "signer.sock"
    modes = {
        each: stat.S_IMODE((signer.directory / each).stat().st_mode) for each in ("signer.sock", "signer")
    }
    assert modes == {"signer.sock": 0o600, "signer": 0o700}
    assert stat.S_ISSOCK(path.stat().st_mode)
    limits = Path(f"/proc/{signer.process.process.pid}/limits").read_text()
    assert "Max core file size        0                    0" in limits
    if os.geteuid():  # root reads everything
        with pytest.raises(PermissionError):
            Path(f"/proc/{signer.process.process.pid}/environ").read_bytes()


def test_a_protected_process_is_not_dumpable():
    code = (
        "import ctypes; from cto_worker.signer.process_protection import protect_process; protect_process(); "
        "print(ctypes.CDLL(None).prctl(3))"  # PR_GET_DUMPABLE
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"


def test_the_limits_survive_a_kill(signer):
    _, first, *_ = signer.client.addresses("7")
    messages = [payment(first, SOL, number) for number in range(10)]
    codes = [code_of(signer.client, message, "7", first) for message in messages[:4]]
    assert codes == ["", "", "daily_limit_exceeded", "daily_limit_exceeded"], "3 SOL, less the fees"
    signer.process.kill()
    with pytest.raises(SignerUnavailableError, match="does not answer"):
        signer.client.addresses("7")
    signer.start()  # in place of the socket that was left
    assert code_of(signer.client, messages[5], "7", first) == "daily_limit_exceeded"
    assert code_of(signer.client, messages[0], "7", first) == "", "the same bytes count once"


def test_requests_that_are_not_valid(signer):
    path = str(signer.directory / "signer.sock")
    cases = {
        "no JSON": (b"sign", "failed"),
        "an unknown request": (b'{"type":"import","user_id":"7"}', "failed"),
        "an unknown field": (b'{"type":"addresses","user_id":"7","key":1}', "failed"),
        "nothing": (b"", "failed"),
    }
    kinds = {}
    for name, (request, _) in cases.items():
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            kinds[name] = json.loads(connection.recv(10_000))["type"]
    assert kinds == {name: kind for name, (_, kind) in cases.items()}
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(path)
        assert signer.client.addresses("7"), "a client that sends nothing delays no other"


def test_processes_of_other_users_are_refused(tmp_path):
    path = tmp_path / "s"
    with SignerServer(path, service=None, client_uids=frozenset({os.geteuid() + 1})) as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o666, "its user must be able to connect"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        try:
            with pytest.raises(SignerRefusedError, match="CTO_SIGNER_CLIENTS") as refused:
                SignerClient(path).addresses("7")
        finally:
            server.shutdown()
    assert refused.value.code == "client_not_allowed"
    assert not path.exists()


def test_the_users_of_client_processes_have_names_or_numbers():
    assert uids(["root", "12345"]) == {os.geteuid(), 0, 12_345}
    with pytest.raises(ConfigError, match="this system has no user 'no-such-user'"):
        uids(["no-such-user"])


def test_a_signer_that_is_silent_or_wrong(tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with pytest.raises(SignerUnavailableError, match="timed out"):
            SignerClient(path, timeout_s=0.05).addresses("7")
        listener.accept()[0].close()

        def respond(response):
            connection, _ = listener.accept()
            with connection:
                connection.recv(1_000)
                connection.sendall(response)

        answers = {
            b"": SignerUnavailableError,
            b"?": SignerError,
            b'{"type":"signatures","results":[]}': SignerError,
            b'{"type":"failed","message":"defect"}': SignerError,
        }
        for answer, kind in answers.items():
            thread = threading.Thread(target=respond, args=[answer])
            thread.start()
            with pytest.raises(SignerError) as raised:
                SignerClient(path).addresses("7")
            thread.join()
            assert type(raised.value) is kind, answer


def test_a_canary_is_found_where_it_is(store, tmp_path):
    """Each form, and each place: the searches of the next test would find it."""
    canary = Canary()
    for form in canary.forms.values():
        assert canary.in_bytes(b"x" + form + b"x")
    (tmp_path / "file").write_bytes(b"x" * 99 + canary.seed)
    assert canary.in_files(tmp_path)
    store.hset("k", "field", canary.forms["key pair, base58"])
    store.xadd("s", {"field": canary.forms["seed, hex"]})
    assert {*canary.in_store(store)} == {b"k", b"s"}
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys; key = sys.stdin.readline(); print(flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        holder.stdin.write(canary.forms["seed, array"] + b"\n")
        holder.stdin.flush()
        holder.stdout.readline()
        assert canary.in_memory(holder.pid)
        holder.stdin.close()


def test_the_key_is_nowhere_but_in_the_signer(signer, canary):
    """The client is the program of the guide, which signs with the imported wallet."""
    message = legacy(canary.address, instruction(MEMO, b"8", canary.address, signers=[canary.address]))
    code = (
        block(PAGE, "from cto_worker").code
        + f"\nprint(signer.sign({message!r}, user_id='8', wallet={canary.address!r}).hex(), len(wallets))"
        + "\nimport time\ntime.sleep(600)"
    )
    log = signer.directory / "client.log"
    client = Process([sys.executable, "-u", "-c", code], signer.env, log)
    try:
        wait_until(lambda: "\n" in log.read_text() or not client.alive)
        signature, count = log.read_text().split()[:2]
        assert (len(bytes.fromhex(signature)), count) == (64, "5")
        others = {*processes_below(os.getpid())} - {signer.process.process.pid}
        assert client.process.pid in others
        assert canary.in_memory(*others) == {}
    finally:
        client.kill()
    done = signer.cto("import", "--user", "8", secret=json.dumps([*canary.keypair]))
    assert "exists already" in done.stderr
    assert not canary.in_bytes((done.stdout + done.stderr).encode())
    assert canary.in_files(signer.directory) == {}, "the data directory, with the database and the logs"


def test_the_master_key_is_rotated(signer):
    commands = block(PAGE, "cto signer create-key new").code.replace(RUN, "")
    signer.process.terminate()
    assert not (signer.directory / "signer.sock").exists()
    assert "rotate" in run(signer, commands)
    signer.env["CTO_SIGNER_KEY_FILE"] = str(signer.directory / "new-master.key")
    signer.start()
    _, first, *_ = signer.client.addresses("7")
    assert code_of(signer.client, legacy(first, transfer(first, first, 1)), "7", first) == ""


def test_a_backup_is_a_database(signer):
    run(signer, block(PAGE, "cto signer backup").code)
    assert (signer.directory / "keys-backup.db").stat().st_mode & 0o777 == 0o600
