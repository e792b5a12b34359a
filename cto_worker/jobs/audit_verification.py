"""Verification of the audit log: finds entries that are missing, modified or replaced."""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import merge
from typing import TYPE_CHECKING

from cto_worker.archive import audit_archive
from cto_worker.domain.audit_entry import GENESIS
from cto_worker.store import audit_stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from redis import Redis
    from sqlalchemy import Engine

    from cto_worker.domain.audit_entry import AuditEntry

_ARCHIVE, _STORE = "archive", "store"


@dataclass(slots=True)
class Verification:
    """The result of a verification, as ``cto audit verify --json`` prints it."""

    archived: int = 0  # entries in the archive
    stored: int = 0  # entries in the store
    number: int = 0  # of the last entry
    hash: str = ""  # of the last entry
    problems: list[str] = field(default_factory=list)  # in the order of the chain


@dataclass(frozen=True, slots=True)
class _Found:
    entry: AuditEntry
    place: str
    intact: bool


def verify(store: Redis, engine: Engine) -> Verification:
    """Check every entry of the store and the archive.

    The last number is known from the chain's head in the store, so missing entries at the end are found too.
    Raises ``RedisError`` or :class:`~cto_worker.errors.ArchiveUnavailableError`.
    """
    # Read in this order, so that an entry that is appended or moved meanwhile is not missed. It may be found
    # twice.
    head, _ = audit_stream.head(store)
    stored = [_Found(entry, _STORE, entry.intact) for entry in audit_stream.newest_first(store)][::-1]
    archived = (_Found(each.entry, _ARCHIVE, each.intact) for each in audit_archive.oldest_first(engine))
    result = Verification(stored=len(stored))
    chain = merge(archived, stored, key=_position)
    result.problems += _problems(_counted(chain, result), head)
    return result


def _counted(chain: Iterable[_Found], result: Verification) -> Iterator[_Found]:
    for found in chain:
        result.archived += found.place == _ARCHIVE
        result.number, result.hash = found.entry.position
        yield found


def _position(found: _Found) -> tuple[int, str]:
    return found.entry.number, found.entry.hash


def _problems(chain: Iterable[_Found], head: int) -> Iterator[str]:
    # Of the last entry. ``hashes`` has one hash of each entry with this number.
    number, hashes, intact = 0, {GENESIS}, True
    for found in chain:
        entry = found.entry
        if not found.intact:
            yield f"entry {entry.number} was modified in the {found.place}"
        if entry.number == number:
            if entry.hash not in hashes:  # otherwise it has just been archived
                yield f"entry {number} exists twice: it was forged, or the store was restored without it"
            hashes.add(entry.hash)
            intact = intact and found.intact
            continue
        if entry.number > number + 1:
            yield _missing(number + 1, entry.number - 1)
        elif intact and found.intact and entry.previous not in hashes:
            yield f"entry {number} was replaced: entry {number + 1} contains the hash of a different entry"
        number, hashes, intact = entry.number, {entry.hash}, found.intact
    if head > number:
        yield _missing(number + 1, head)


def _missing(first: int, last: int) -> str:
    return f"entry {first} is missing" if first == last else f"entries {first} to {last} are missing"
