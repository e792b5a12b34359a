"""The client in a real browser: each event once and in order, on every transport."""

from __future__ import annotations

import time
import uuid

import pytest
import requests
from support.samples import MINT
from support.tcp_proxy import TcpProxy
from support.tokens import GUARDED, token
from support.waiting import assert_stays, wait_until

from api.auth.token_revocations import revoke
from cto_worker.store import keys

WEBSOCKET, SOCKET_IO, STREAM = "Upgrade: websocket", "GET /socket.io/|POST /socket.io/", "/stream"
# Records the events, ends, gaps, errors and connection states that a page receives.
NOTE = """
window.seen = {}; window.ends = []; window.gaps = []; window.errors = []; window.states = [];
window.note = (client, tracker) => {
  client.onConnection(({ state, via, error }) => {
    states.push(via ?? (error ? `${state} ${error.code}` : state));
  });
  tracker.onProgress(({ jobId, seq }, { restored }) => (seen[jobId] ??= []).push(restored ? -seq : seq));
  tracker.onComplete((event) => ends.push(event.jobId));
  tracker.onGap((gap) => gaps.push(gap));
  tracker.onError((error, jobId) => errors.push([error.code, jobId]));
  window.client = client; window.tracker = tracker;
};
"""
OPEN = """
async ({ options, method, target, history }) => {
  const { connect } = await import("/client/index.js");
  if (options.io) options.io = (await import("/io.js")).io;
  if (options.tokens) {
    window.tokenRequests = 0;
    options.token = async () => (await fetch(`/token?${window.tokenRequests += 1}`)).text();
  }
  const client = connect(options);
  note(client, target ? client[method](target, { history }) : client[method]());
}
"""


@pytest.fixture
def user():
    return f"u{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def socket_io(bundle):
    return bundle('export { io } from "socket.io-client"')


@pytest.fixture
def open_client(context, socket_io, troubles):
    """Open a page, and in it a client that tracks: ``open_client(url, "trackUser", user, io=True)``."""
    for expected in ("ERR_", "Failed to load resource", "WebSocket connection", "net::"):
        troubles.expect(expected)  # the browser logs every failed request and connection
    html = '<!doctype html><meta charset="utf-8"><title>lab</title>'
    context.route("**/lab", lambda route: route.fulfill(body=html, content_type="text/html"))
    context.route("**/io.js", lambda route: route.fulfill(body=socket_io, content_type="text/javascript"))
    context.add_init_script(NOTE)

    def open_client(url, method, target, *, page=None, history=True, **options):
        page = page or context.new_page()
        page.goto(f"{url}/lab")
        page.evaluate(OPEN, {"options": options, "method": method, "target": target, "history": history})
        return page

    return open_client


def via(page, name):
    page.wait_for_function("name => window.states.at(-1) === name", arg=name)


def has_ended(page, job_id):
    page.wait_for_function("id => window.ends.includes(id)", arg=job_id)


def submit(system, user, wallets=3, **changes):
    return system.submit(userId=user, walletCount=wallets, buyAmount=0.02 * wallets, **changes)


def assert_each_event_once(page, *job_ids, since=1):
    """Assert that each event arrived once and in order, and each end once."""
    for job_id in job_ids:
        has_ended(page, job_id)
    seen, ends = page.evaluate("[window.seen, window.ends]")
    for job_id in job_ids:
        assert seen[job_id] == list(range(since, seen[job_id][-1] + 1)), job_id
        assert ends.count(job_id) == 1


SOCKET_TRANSPORTS = {"socket.io websocket": "", "socket.io polling": WEBSOCKET}
HTTP_TRANSPORTS = {"sse": f"{WEBSOCKET}|{SOCKET_IO}", "polling": f"{WEBSOCKET}|{SOCKET_IO}|{STREAM}"}
UPGRADE_MS = 45_000  # the client's interval of 30 s, and the time for the upgrade


def test_the_client_changes_transports_without_a_gap(system, tcp_proxy, open_client, context, user):
    context.set_default_timeout(UPGRADE_MS)
    page = open_client(tcp_proxy.url, "trackUser", user, io=True)
    job_ids = []
    for name, refused in (SOCKET_TRANSPORTS | HTTP_TRANSPORTS).items():
        tcp_proxy.refuse(refused)
        job_ids.append(submit(system, user, 40))
        via(page, name)
        job_ids.append(submit(system, user, 5))
        has_ended(page, job_ids[-1])
    tcp_proxy.refuse()
    while not any(name == "socket.io websocket" for name in page.evaluate("window.states.slice(-1)")):
        job_ids.append(submit(system, user, 5))
        has_ended(page, job_ids[-1])
    assert_each_event_once(page, *job_ids)


@pytest.mark.parametrize(
    ("name", "refused"), [*reversed(HTTP_TRANSPORTS.items()), ("socket.io polling", WEBSOCKET)]
)
def test_the_client_upgrades_to_a_transport_that_works_again(
    system, tcp_proxy, open_client, context, user, name, refused
):
    """Start with the last transport, and move the page's clock. No event is lost in between."""
    tcp_proxy.refuse(HTTP_TRANSPORTS["polling"])
    page = context.new_page()
    page.clock.install()
    open_client(tcp_proxy.url, "trackUser", user, page=page, io=True)
    via(page, "polling")
    first = submit(system, user, 40)
    page.wait_for_function("id => window.seen[id]?.length > 2", arg=first)
    tcp_proxy.refused = None
    if name != "polling":
        tcp_proxy.refuse(refused)
    page.clock.fast_forward(30_000)
    via(page, "socket.io websocket" if name == "polling" else name)
    assert_each_event_once(page, first, submit(system, user, 5))


@pytest.mark.parametrize(("name", "refused"), (SOCKET_TRANSPORTS | HTTP_TRANSPORTS).items())
def test_every_transport_delivers_a_job_from_its_first_event(
    system, tcp_proxy, open_client, user, name, refused
):
    tcp_proxy.refuse(refused)
    ended, running = submit(system, user), submit(system, user, 30)
    system.ended(ended)
    page = open_client(tcp_proxy.url, "track", [ended, running], io=True)
    via(page, name)
    assert_each_event_once(page, ended, running)
    page.evaluate(
        "() => { window.other = client.track('unknown'); other.onError((e) => errors.push(e.code)); }"
    )
    page.wait_for_function("window.errors.includes('job_not_found')")


def test_without_socket_io_the_plain_websocket_is_used(system, open_client, user):
    page = open_client(system.url, "trackUser", user)
    via(page, "websocket")
    assert_each_event_once(page, submit(system, user))


def test_a_job_that_runs_during_an_interruption_is_delivered_after_it(system, tcp_proxy, open_client, user):
    page = open_client(tcp_proxy.url, "trackUser", user)
    first = submit(system, user)
    assert_each_event_once(page, first)
    tcp_proxy.refuse("HTTP")
    page.wait_for_function("window.states.at(-1).startsWith('waiting')")
    missed = submit(system, user)
    system.ended(missed)
    tcp_proxy.refuse()
    assert_each_event_once(page, first, missed)


def test_tabs_share_one_connection_and_continue_when_the_leader_closes(system, tcp_proxy, open_client, user):
    pages = [open_client(tcp_proxy.url, "trackUser", user) for _ in range(3)]
    for page in pages:
        via(page, "websocket")
    assert tcp_proxy.asked("GET /ws") == 1
    first = submit(system, user, 40)
    for page in pages:
        page.wait_for_function("id => window.seen[id]?.length > 3", arg=first)
    pages[0].close()  # the leader, which has the connection
    second = submit(system, user)
    for page in pages[1:]:
        assert_each_event_once(page, first, second)
    assert tcp_proxy.asked("GET /ws") == 2


def test_a_room_of_one_tab_is_left_when_the_tab_closes(system, tcp_proxy, open_client, user):
    pages = {name: open_client(tcp_proxy.url, "trackUser", f"{user}-{name}") for name in "ab"}
    for page in pages.values():
        via(page, "websocket")
    job_ids = {name: submit(system, f"{user}-{name}") for name in "ab"}
    for name, page in pages.items():
        assert_each_event_once(page, job_ids[name])
        assert list(page.evaluate("window.seen")) == [job_ids[name]]
    with system.store() as store:
        subscribed = lambda name: store.pubsub_numsub(f"cto:room:user_{user}-{name}")  # noqa: E731
        channels = {c.decode() for c in store.pubsub_channels()}
    assert {f"{user}-a", f"{user}-b"} <= {c.rpartition("user_")[2] for c in channels if "user_" in c}, (
        subscribed
    )
    pages["b"].close()
    wait_until(lambda: not any(f"{user}-b" in c for c in channels_of(system)))
    assert any(f"{user}-a" in c for c in channels_of(system))


def channels_of(system):
    with system.store() as store:
        return [channel.decode() for channel in store.pubsub_channels()]


def test_a_refused_room_is_joined_when_another_tab_leaves_a_room(launch, open_client, user):
    """The first tab has the connection. It leaves a room; then the second tab closes."""
    system = launch("--no-flower", CTO_MAX_ROOMS="2").ready()
    first = open_client(system.url, "trackUser", f"{user}-1")
    first.evaluate("(user) => note(client, client.trackUser(user))", f"{user}-2")
    via(first, "websocket")
    wait_until(lambda: {f"cto:room:user_{user}-{n}" for n in (1, 2)} <= set(channels_of(system)))
    second = open_client(system.url, "trackUser", f"{user}-3")
    refused(second)
    first.evaluate("tracker.close()")
    assert_each_event_once(second, submit(system, f"{user}-3"))

    first.evaluate("(user) => note(client, client.trackUser(user, { history: true }))", f"{user}-4")
    refused(first)
    second.close()
    assert_each_event_once(first, submit(system, f"{user}-4"))


def refused(page):
    page.wait_for_function("window.tracker.snapshot.error?.code === 'too_many_rooms'")


@pytest.mark.parametrize("io", [False, True])
def test_the_client_leaves_the_rooms_of_ended_jobs(system, tcp_proxy, open_client, user, io):
    job_ids = [submit(system, user, wallets) for wallets in (2, 3, 40)]
    page = open_client(tcp_proxy.url, "track", job_ids, io=io)
    has_ended(page, job_ids[0])
    has_ended(page, job_ids[1])
    wait_until(lambda: rooms_in(system, job_ids) <= {job_ids[2]})
    page.evaluate("(user) => { window.userTracker = client.trackUser(user, { history: true }); }", user)
    assert_each_event_once(page, *job_ids)
    wait_until(lambda: not rooms_in(system, job_ids))


def rooms_in(system, job_ids):
    """Return the jobs whose rooms have subscribers."""
    return {job_id for job_id in job_ids if any(job_id in channel for channel in channels_of(system))}


def test_another_tab_takes_over_from_a_frozen_leader(system, tcp_proxy, open_client, context, user):
    leader, other = (open_client(tcp_proxy.url, "trackUser", user) for _ in range(2))
    via(other, "websocket")
    leader.evaluate(
        "() => { BroadcastChannel.prototype.postMessage = () => {}; }"
    )  # it sends no more messages
    job_id = submit(system, user)
    assert_each_event_once(other, job_id)
    assert tcp_proxy.asked("GET /ws") == 2


def test_a_reloaded_page_continues_with_the_next_event(system, open_client, user):
    job_id = submit(system, user, 50)
    page = open_client(system.url, "track", job_id)
    page.wait_for_function("id => window.seen[id]?.length > 5", arg=job_id)
    sent = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda text: sent.append(text)))  # noqa: PLW0108
    page.evaluate("client.track('another-job')")  # an unknown job must not disturb the other
    open_client(system.url, "track", job_id, page=page)
    has_ended(page, job_id)
    seen = page.evaluate("id => window.seen[id]", job_id)
    restored = [-seq for seq in seen if seq < 0]
    assert restored, "the cached events are delivered first"
    assert seen == [-seq for seq in restored] + list(range(len(restored) + 1, seen[-1] + 1))
    assert restored == list(range(1, len(restored) + 1))
    assert any(f'"after":{len(restored)}' in text for text in sent), sent
    assert page.evaluate("tracker.job().events.length") == seen[-1]
    assert page.evaluate("window.ends") == [job_id]


def test_a_page_catches_up_after_a_sleep_of_ten_minutes(system, tcp_proxy, open_client, context, user):
    page = context.new_page()
    page.clock.install()
    open_client(tcp_proxy.url, "trackUser", user, page=page)
    via(page, "websocket")
    job_id = submit(system, user, 30)
    page.wait_for_function("id => window.seen[id]?.length > 2", arg=job_id)
    tcp_proxy.sleep()  # like a suspended machine: the link is dead without notice
    missed = submit(system, user)
    for each in (job_id, missed):
        system.ended(each)
    page.clock.fast_forward(600_000)
    page.clock.fast_forward(16_000)  # after the sleep the client detects a dead connection within 15 s
    assert_each_event_once(page, job_id, missed)


def test_polling_pauses_while_the_page_is_hidden(system, tcp_proxy, open_client, context, user):
    tcp_proxy.refuse(HTTP_TRANSPORTS["polling"])
    page = open_client(tcp_proxy.url, "trackUser", user)
    via(page, "polling")
    hide = """(hidden) => {
      Object.defineProperty(document, "visibilityState", {
        configurable: true, get: () => hidden ? "hidden" : "visible",
      });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(hide, True)
    wait_until(lambda: not grows(tcp_proxy))
    job_id = submit(system, user)
    system.ended(job_id)
    before = tcp_proxy.asked("/api/cto/jobs")
    assert_stays(lambda: tcp_proxy.asked("/api/cto/jobs") == before, 3)
    page.evaluate(hide, False)
    assert_each_event_once(page, job_id)


def grows(proxy, for_s=2.5):
    before = len(proxy.heads)
    deadline = time.monotonic() + for_s
    while time.monotonic() < deadline:
        if len(proxy.heads) > before:
            return True
        time.sleep(0.05)
    return False


def test_polling_many_jobs_sends_at_most_five_requests_a_second(system, tcp_proxy, open_client, user):
    tcp_proxy.refuse(HTTP_TRANSPORTS["polling"])
    job_ids = [submit(system, user, 20) for _ in range(20)]
    started_s = time.monotonic()
    page = open_client(tcp_proxy.url, "track", job_ids)
    assert_each_event_once(page, *job_ids)
    requested = tcp_proxy.asked("/events")
    assert requested >= len(job_ids)
    assert requested <= 5 * (time.monotonic() - started_s) + 1


@pytest.mark.parametrize("refused", [*SOCKET_TRANSPORTS.values(), *HTTP_TRANSPORTS.values()])
def test_expired_events_are_reported_as_a_gap(system, tcp_proxy, open_client, user, refused):
    tcp_proxy.refuse(refused)
    job_id = submit(system, user)
    system.ended(job_id)
    with system.store() as store:
        store.xtrim(keys.events(job_id), minid="4-0", approximate=False)
    page = open_client(tcp_proxy.url, "track", job_id, io=True)
    assert_each_event_once(page, job_id, since=4)
    assert page.evaluate("window.gaps") == [{"jobId": job_id, "after": 0, "oldestSeq": 4}]


@pytest.fixture(scope="module")
def guarded():
    """A system that requires tokens and allows each user forty requests a minute."""
    from acceptance.conftest import System, environment  # noqa: PLC0415 - beside its only use

    env = environment(**GUARDED, CTO_RATE_LIMIT="40/minute")
    system = System(env, "--no-flower").ready()
    yield system
    system.stop()


def submit_as(system, user, wallets=3):
    body = {"tokenAddress": MINT, "userId": user, "userChatId": 1, "mode": "prefunded"}
    answer = requests.post(
        f"{system.url}/api/cto/jobs",
        json=body | {"buyAmount": 0.02 * wallets, "walletCount": wallets},
        headers={"Authorization": f"Bearer {token('bot', role='service')}"},
        timeout=10,
    )
    return answer.json()["data"]["jobId"]


@pytest.fixture
def give_tokens(context):
    """Make the page's backend return these tokens in turn, and then the last one again."""

    def give_tokens(*make):
        given = iter(make)
        last = [None]

        def answer(route):
            last[0] = next(given, last[0])
            route.fulfill(body=last[0]())

        context.route("**/token?*", answer)

    return give_tokens


def test_a_token_is_renewed_before_it_expires_and_the_connection_stays(
    guarded, open_client, give_tokens, user
):
    ends_s = time.time() + 30  # the client renews it 6 s before, which leaves time on a busy machine
    give_tokens(lambda: token(user, exp=ends_s), lambda: token(user))
    page = open_client(guarded.url, "trackUser", user, tokens=True)
    via(page, "websocket")
    page.wait_for_function("window.tokenRequests === 2", timeout=40_000)
    # A wait in the page: Playwright answers the page's request for a token only while it is called.
    page.wait_for_function("endMs => Date.now() > endMs", arg=(ends_s + 1) * 1_000, timeout=60_000)
    assert_each_event_once(page, submit_as(guarded, user))
    assert ends_of_connections(page) <= {"unreachable"}, "the token's expiry ended the connection"


def ends_of_connections(page):
    """Return why connections ended. On a busy machine a ping may be lost: then it is ``unreachable``."""
    return {code for state in page.evaluate("window.states") if (code := state.partition(" ")[2])}


def test_a_client_with_a_revoked_token_reconnects_with_a_new_one(guarded, open_client, give_tokens, user):
    give_tokens(lambda: token(user, jti=f"{user}-1"), lambda: token(user, jti=f"{user}-2"))
    page = open_client(guarded.url, "trackUser", user, tokens=True)
    via(page, "websocket")
    with guarded.store() as store:
        revoke(store, token_id=f"{user}-1", keep_s=600)
    page.wait_for_function("window.states.filter((name) => name === 'websocket').length === 2")
    assert_each_event_once(page, submit_as(guarded, user))


def test_an_expired_fixed_token_is_refused_without_a_retry(guarded, open_client, user):
    page = open_client(guarded.url, "trackUser", user, token=token(user, exp=time.time() + 3))
    via(page, "websocket")
    page.wait_for_function("window.states.at(-1) === 'refused token_expired'")


# There is no stream of all users' jobs: the SSE transport polls them.
@pytest.mark.parametrize(("name", "refused"), (SOCKET_TRANSPORTS | {"sse": HTTP_TRANSPORTS["sse"]}).items())
def test_every_transport_refuses_the_admin_room_to_a_user(guarded, open_client, user, name, refused):
    proxy = TcpProxy(guarded.settings.port)
    proxy.refuse(refused)
    page = open_client(proxy.url, "trackAll", None, io=True, token=token(user))
    via(page, name)
    page.wait_for_function("window.errors.length")
    assert page.evaluate("window.errors[0]") == ["forbidden", None]
    assert page.evaluate("tracker.snapshot.error.code") == "forbidden"
    proxy.close()


def test_an_admin_tracks_all_jobs_by_polling(guarded, open_client, user):
    proxy = TcpProxy(guarded.settings.port)
    proxy.refuse(HTTP_TRANSPORTS["sse"])
    page = open_client(proxy.url, "trackAll", None, token=token("boss", role="admin"))
    via(page, "sse")
    # Jobs that end before the first poll are not shown. A second poll shows that the first was answered.
    wait_until(lambda: proxy.asked("limit=50") > 1)
    has_ended(page, submit_as(guarded, user))
    proxy.close()


def test_a_rate_limited_client_slows_down_and_loses_no_event(guarded, context, open_client, user):
    proxy = TcpProxy(guarded.settings.port)
    proxy.refuse(HTTP_TRANSPORTS["polling"])
    job_ids = [submit_as(guarded, user, 2) for _ in range(10)]
    context.set_default_timeout(90_000)
    page = open_client(proxy.url, "track", job_ids, token=token(user))
    assert_each_event_once(page, *job_ids)
    another = submit_as(guarded, user, 2)
    page.evaluate("(id) => note(client, client.track(id))", another)
    for _ in range(30):
        page.evaluate("client.jobs().catch(() => {})")
    assert_each_event_once(page, another)
    proxy.close()


def test_an_operation_starts_once_when_its_response_is_lost(system, tcp_proxy, open_client, user):
    page = open_client(tcp_proxy.url, "trackUser", user)
    via(page, "websocket")
    request = {"tokenAddress": MINT, "userId": user, "userChatId": 1, "mode": "prefunded", "buyAmount": 0.05}
    tcp_proxy.lose_answers("POST /api/cto/jobs")
    page.evaluate("(request) => { window.submitted = client.submit(request); }", request)
    wait_until(lambda: tcp_proxy.asked("POST /api/cto/jobs") >= 2)
    tcp_proxy.lose_answers()
    job_id = page.evaluate("async () => (await window.submitted).jobId")
    assert_each_event_once(page, job_id)
    assert [job["jobId"] for job in system.get("/api/cto/jobs", userId=user)["jobs"]] == [job_id]


def test_without_web_locks_each_tab_has_its_own_connection(system, tcp_proxy, open_client, context, user):
    context.add_init_script("Object.defineProperty(navigator, 'locks', { value: undefined });")
    pages = [open_client(tcp_proxy.url, "trackUser", user) for _ in range(2)]
    for page in pages:
        via(page, "websocket")
    assert tcp_proxy.asked("GET /ws") == 2
    job_id = submit(system, user)
    for page in pages:
        assert_each_event_once(page, job_id)


def test_tabs_of_different_users_do_not_share_a_connection(guarded, context, open_client, user):
    proxy = TcpProxy(guarded.settings.port)
    mine = open_client(proxy.url, "trackUser", user, token=token(user))
    other = open_client(proxy.url, "trackUser", f"{user}-2", token=token(f"{user}-2"))
    for page in (mine, other):
        via(page, "websocket")
    assert proxy.asked("GET /ws") == 2
    assert_each_event_once(mine, submit_as(guarded, user))
    assert other.evaluate("window.seen") == {}
    proxy.close()


def test_jobs_above_the_limit_of_streams_are_polled(system, tcp_proxy, open_client, user):
    tcp_proxy.refuse(HTTP_TRANSPORTS["sse"])
    job_ids = [submit(system, user, 20) for _ in range(8)]
    page = open_client(tcp_proxy.url, "track", job_ids)
    via(page, "sse")
    assert_each_event_once(page, *job_ids)
