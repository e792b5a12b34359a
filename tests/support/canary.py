"""A secret key that tests plant, and then search for wherever it must not be.

It is found in the forms in which programs print and store keys. A search finds whole forms only.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from contextlib import suppress
from pathlib import Path

import base58
from nacl.signing import SigningKey

_CHUNK_BYTES = 1 << 20
_ALL_FILES = "*"


class Canary:
    """A random secret key, and the forms in which it can be found."""

    def __init__(self):
        key = SigningKey(secrets.token_bytes(32))
        self.seed = bytes(key)
        self.keypair = self.seed + bytes(key.verify_key)
        self.address = base58.b58encode(bytes(key.verify_key)).decode()
        self.forms = dict(_forms("seed", self.seed)) | dict(_forms("key pair", self.keypair))

    def in_bytes(self, data):
        """Return the names of the forms that occur in some bytes."""
        return {name for name, form in self.forms.items() if form in data}

    def in_files(self, *directories):
        """Return the forms in the files below some directories: names by path."""
        files = [path for each in directories for path in each.rglob(_ALL_FILES) if path.is_file()]
        assert files, f"there is no file in {directories}"
        return _found({str(path): self.in_bytes(path.read_bytes()) for path in files})

    def in_memory(self, *pids):
        """Return the forms in the memory that child processes can write to: names by process id."""
        return _found({pid: self._in_process(pid) for pid in pids})

    def in_store(self, store):
        """Return the forms in the keys, values and consumer groups of a store: names by key."""
        return _found({key: self.in_bytes(b"\n".join(_values(store, key))) for key in store.scan_iter()})

    def _in_process(self, pid):
        names, overlap = set(), max(map(len, self.forms.values()))
        maps = Path(f"/proc/{pid}/maps").read_text()
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            for start, end in re.findall(r"^(\w+)-(\w+) rw", maps, re.MULTILINE):
                for position in range(int(start, 16), int(end, 16), _CHUNK_BYTES):
                    data = _read(memory, position, min(_CHUNK_BYTES + overlap, int(end, 16) - position))
                    if data.strip(b"\0"):  # most of a thread's stack has never been used
                        names |= self.in_bytes(data)
        return names


def processes_below(pid):
    """Return the process ids of the children of a process, of their children, and so on."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):  # it has ended
            parents[int(status.parent.name)] = int(
                re.search(r"^PPid:\t(\d+)", status.read_text(), re.MULTILINE)[1]
            )
    children = [child for child, parent in parents.items() if parent == pid]
    return children + [below for child in children for below in processes_below(child)]


def _forms(what, data):
    """Yield names and bytes of the forms of a secret."""
    yield f"{what}, raw", data
    yield f"{what}, base58", base58.b58encode(data)
    for name, text in {"hex": data.hex(), "upper hex": data.hex().upper()}.items():
        yield f"{what}, {name}", text.encode()
    for offset in range(3):  # of its first byte in the bytes that were encoded as a whole
        first, last = -(-offset * 8 // 6), (offset + len(data)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield f"{what}, {encode.__name__} {offset}", encode(bytes(offset) + data)[first:last]
    numbers = json.dumps([*data])[1:-1]
    yield f"{what}, array", numbers.encode()
    yield f"{what}, short array", numbers.replace(" ", "").encode()
    yield f"{what}, lines", numbers.replace(", ", "\n").encode()
    yield f"{what}, repr", repr(data)[2:-1].encode()


def _found(names_by_place):
    return {place: names for place, names in names_by_place.items() if names}


def _read(memory, position, size):
    try:
        memory.seek(position)
        return memory.read(size)
    except (OSError, ValueError, OverflowError):  # a mapping of the kernel, or one that is gone
        return b""


def _values(store, key):
    """Yield a key and everything in it, as stored. A dump of the store would be compressed."""
    kind = store.type(key).decode()
    read = {
        "string": lambda: [store.get(key)],
        "hash": lambda: [part for pair in store.hgetall(key).items() for part in pair],
        "list": lambda: store.lrange(key, 0, -1),
        "set": lambda: store.smembers(key),
        "zset": lambda: store.zrange(key, 0, -1),
        "stream": lambda: [
            part for _, fields in store.xrange(key) for pair in fields.items() for part in pair
        ],
    }
    yield key
    yield from read[kind]()
