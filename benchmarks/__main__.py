"""``python -m benchmarks [group ...]``: measure, and print one table. ``GROUPS`` has the groups.

A missed target is printed and is not an error: speed is not a test. A benchmark that breaks is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import (
    archive,
    chain_operations,
    gateway,
    idle,
    intents,
    job_start,
    journal,
    local_chain,
    operations,
    page,
    proxy,
    rest_flood,
    worker,
)
from benchmarks.table import Line, measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AT_ONCE, OPERATION_S = 750, 2.5
LARGE_AT_ONCE = 500  # operations of many wallets
IDLE_CLIENTS, IDLE_P99_MS = 18_000, 50  # the clients that fit into 20,000 open files; REST beside them
MAX_P99_MS = 100  # of other users' requests while one user floods


def journal_lines() -> Iterator[Line]:
    """Measure the cost of a journal step."""
    for fsync in ("always", "everysec"):
        step, bare = journal.step_against_bare_write(fsync)
        what = f"Journal step / bare SET + PUBLISH, time (fsync {fsync})"
        yield Line(what, f"{step:.3f} / {bare:.3f} ms", step / bare, at_most=1.5)
    for fsync in ("always", "everysec"):
        late, early = journal.late_against_early(fsync)
        what = f"Step at event 900–1,000 / at 10–110, time (fsync {fsync})"
        yield Line(what, f"{late:.3f} / {early:.3f} ms", late / early, at_most=1.1)


def intent_lines() -> Iterator[Line]:
    """Measure the cost of the intent log."""
    with_log, without = intents.buy_with_log_and_without()
    what = "A buy with the intent log / without, time at zero latency"
    yield Line(what, f"{with_log:.2f} / {without:.2f} ms", with_log / without)


def gateway_lines() -> Iterator[Line]:
    """Measure the cost of a response."""
    status, bare = gateway.status_against_bare_view()
    what = "Status of a job / view with one Redis GET, requests/s"
    yield Line(what, f"{status:,.0f} / {bare:,.0f}", status / bare, at_least=0.8)
    statistics, status = gateway.stats_against_status()
    what = "Statistics of 500 jobs / status of one, time"
    yield Line(what, f"{statistics:.2f} / {status:.2f} ms", statistics / status, at_most=3)


def worker_lines() -> Iterator[Line]:
    """Measure the cost of an operation."""
    operations, noops = worker.operations_against_noops()
    what = "Operations / no-op tasks, per s"
    yield Line(what, f"{operations:.0f} / {noops:.0f}", operations / noops, at_least=0.5)
    _, full, memory_mb = worker.operations_at_once(AT_ONCE, latency_s=OPERATION_S)
    ideal = AT_ONCE / OPERATION_S
    what = f"{AT_ONCE} operations of {OPERATION_S:g} s at once / without overhead, per s"
    yield Line(what, f"{full:.0f} / {ideal:.0f}, {memory_mb:.0f} MB", full / ideal, at_least=0.9)


def operation_lines() -> Iterator[Line]:
    """Measure operations of many wallets, with steps side by side."""
    latency_s, wallets = operations.LATENCY_S, operations.WALLETS
    for count, mode, parallelism, limit in (
        (wallets, "standard", 10, 2.5),
        (wallets, "prefunded", 10, 1.5),
        (50, "standard", 25, 6),
    ):
        took_s = operations.duration_s(operations.body(count, mode), parallelism)
        what = f"{count} wallets, {mode}, {parallelism} at a time: duration / market latency"
        yield Line(what, f"{took_s:.2f} / {latency_s:g} s", took_s / latency_s, at_most=limit)
    ten, one = operations.cpu_side_by_side_and_in_sequence()
    what = f"{wallets} wallets, zero latency: CPU with 10 at a time / with one"
    yield Line(what, f"{ten:.1f} / {one:.1f} ms", ten / one, at_most=0.5)
    for mode in ("standard", "prefunded"):
        traffic = operations.traffic(mode)
        what = f"{wallets} wallets, {mode}: round trips to the store / buys"
        yield Line(what, f"{traffic.round_trips} / {wallets}", traffic.round_trips / wallets, at_most=1.5)
        what = f"{wallets} wallets, {mode}: synced writes of the journal / limit"
        yield Line(what, f"{traffic.durable_writes} / 8", traffic.durable_writes / 8, at_most=1)


def at_once_lines() -> Iterator[Line]:
    """Measure one worker process with many operations of many wallets."""
    wallets = operations.WALLETS
    full, ideal, memory_mb = operations.at_once(LARGE_AT_ONCE)
    what = f"{LARGE_AT_ONCE} operations of {wallets} wallets at once / what CPU and market allow, per s"
    yield Line(what, f"{full:.0f} / {ideal:.0f}, {memory_mb:.0f} MB", full / ideal, at_least=0.8)


def archive_lines() -> Iterator[Line]:
    """Measure the archiver, and what a job costs in the archive and afterwards in the store."""
    measured = archive.archive_jobs()
    ratio = measured.archived_per_s / measured.operations_per_s
    rates = f"{measured.archived_per_s:.0f} / {measured.operations_per_s:.0f}"
    yield Line("Jobs that one archiver archives / one worker ends, per s", rates, ratio, at_least=5)
    sizes = f"{measured.disk_bytes / 1_000:.1f} / {measured.stored_bytes / 1_000:.1f} kB"
    yield Line(
        "A job of one wallet: archive on disk / store", sizes, measured.disk_bytes / measured.stored_bytes
    )
    left = f"{measured.left_bytes:.0f} / {measured.stored_bytes:.0f} bytes"
    share = measured.left_bytes / measured.stored_bytes
    yield Line("The same job, archived and expired: left in the store", left, share, at_most=0)


def start_lines() -> Iterator[Line]:
    """Measure the time from the POST of a job to its first events at a client."""
    arrivals = zip(("first event", "worker's first event"), job_start.post_to_events(), strict=True)
    for (event, arrived_ms), (most_p50_ms, most_p99_ms) in zip(arrivals, ((5, 25), (12, 50)), strict=True):
        p50_ms, p99_ms, _ = rest_flood.p50_p99_max(arrived_ms)
        what = f"POST of a job until a client has the {event}"
        yield Line(
            f"{what}: p50 / limit", f"{p50_ms:.1f} / {most_p50_ms} ms", p50_ms / most_p50_ms, at_most=1
        )
        yield Line(
            f"{what}: p99 / limit", f"{p99_ms:.1f} / {most_p99_ms} ms", p99_ms / most_p99_ms, at_most=1
        )


def idle_lines() -> Iterator[Line]:
    """Measure many idle clients on one gateway."""
    measured = idle.beside_idle_clients(IDLE_CLIENTS)
    what = f"{IDLE_CLIENTS:,} idle clients on one gateway"
    yield Line(f"{what}: each / limit", f"{measured.kb:.1f} / 7.5 kB", measured.kb / 7.5, at_most=1)
    beside = f"p50 {measured.p50_ms:.1f} ms, {measured.cpu:.2f} cores"
    yield Line(
        f"{what}: REST p99 / limit",
        f"{measured.p99_ms:.1f} / {IDLE_P99_MS} ms; {beside}",
        measured.p99_ms / IDLE_P99_MS,
        at_most=1,
    )


def page_lines() -> Iterator[Line]:
    """Measure the frame rate of the console."""
    for frames, what in (
        (page.frames_during_events(), f"Console during {page.EVENTS:,} events"),
        (page.frames_while_scrolling(), f"Console with {page.ROWS:,} rows, while they scroll"),
    ):
        measured = f"{frames.busy:.0f} / 55, idle {frames.idle:.0f}, longest task {frames.longest_ms:.0f} ms"
        yield Line(f"{what}: frames/s of the slowest 5 % / limit", measured, frames.busy / 55, at_least=1)


def flood_lines() -> Iterator[Line]:
    """Measure the latency of other users while one user floods REST."""
    flooded = rest_flood.flood()
    for name, during, before in (
        ("kept connections", flooded.during.kept, flooded.before.kept),
        (
            "new connections, other address",
            flooded.during.new_other_address,
            flooded.before.new_other_address,
        ),
        ("new connections, same address", flooded.during.new_same_address, flooded.before.new_same_address),
    ):
        p50, p99, _ = rest_flood.p50_p99_max(during)
        p99_before = rest_flood.p50_p99_max(before)[1]
        what = f"2,000 requests at once of one user: others, {name}"
        measured = f"p50 {p50:.0f}, p99 {p99:.0f} ms; before: p99 {p99_before:.0f} ms"
        yield Line(what, measured, p99 / MAX_P99_MS, at_most=1)
    allowed = rest_flood.LIMIT
    yield Line(
        "Of these, status 200 / the limit",
        f"{flooded.passed} / {allowed}",
        flooded.passed / allowed,
        at_most=1,
    )


def proxy_lines() -> Iterator[Line]:
    """Compare the dispatcher with Caddy, in front of two gateways."""
    ours, caddys = proxy.compare()
    for what, unit, mine, other in zip(
        ("CPU of a delivery", "latency at 200 events/s, median", "latency at 200 events/s, p99"),
        ("µs", "ms", "ms"),
        ours,
        caddys,
        strict=True,
    ):
        yield Line(
            f"Two gateways, dispatcher / Caddy: {what}", f"{mine:.2f} / {other:.2f} {unit}", mine / other
        )


def chain_lines() -> Iterator[Line]:
    """Measure the local Solana chain."""
    bare = local_chain.runtime_alone()
    for preflight, kind in ((True, "with preflight"), (False, "without")):
        full = local_chain.local_chain(preflight=preflight)
        measured = f"{full.per_s:.0f} / {bare:.0f}, start {full.start_s:.2f} s, {full.memory_mb:.0f} MB"
        what = f"Transfers on the local chain, {kind} / LiteSVM alone, per s"
        yield Line(what, measured, full.per_s / bare)
    bought = local_chain.swaps()
    at_most = local_chain.BUYERS / (local_chain.SLOT_MS / 1_000)  # a quote waits for its block
    measured = f"{bought.per_s:.0f} / {at_most:.0f}, {bought.memory_mb:.0f} MB"
    what = f"Swaps on the local chain, {local_chain.BUYERS} at a time / one per block each, per s"
    yield Line(what, measured, bought.per_s / at_most)
    on_chain_ms, on_paper_ms = chain_operations.cpu_on_chain_and_on_paper()
    what = "CPU of an operation in the worker, 10 wallets: local chain / paper market"
    yield Line(what, f"{on_chain_ms:.0f} / {on_paper_ms:.0f} ms", on_chain_ms / on_paper_ms)


GROUPS: dict[str, Callable[[], Iterator[Line]]] = {
    "journal": journal_lines,
    "intents": intent_lines,
    "gateway": gateway_lines,
    "worker": worker_lines,
    "operations": operation_lines,
    "at-once": at_once_lines,
    "archive": archive_lines,
    "start": start_lines,
    "page": page_lines,
    "flood": flood_lines,
    "proxy": proxy_lines,
    "idle": idle_lines,
    "chain": chain_lines,
}


def main() -> None:
    """Measure the named groups, or all."""
    measure("python -m benchmarks", "Measure, as ratios.", GROUPS)


if __name__ == "__main__":
    main()
