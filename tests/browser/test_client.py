"""The client in a real browser: whatever happens to the way, each event once, in order, and the end once."""

from __future__ import annotations

import time
import uuid

import pytest
import requests
from acceptance.conftest import MINT
from acceptance.test_authorization import GUARDED
from browser.tcp_proxy import TcpProxy
from support.tokens import token
from support.waiting import assert_stays, wait_until

from api.auth.revocations import revoke
from cto_worker.store import keys

WEBSOCKET, SOCKET_IO, STREAM = "Upgrade: websocket", "GET /socket.io/|POST /socket.io/", "/stream"
# What a page does: it notes what it is told, job by job.
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
async ({ options, how, about, history }) => {
  const { connect } = await import("/client/index.js");
  if (options.io) options.io = (await import("/io.js")).io;
  if (options.tokens) {
    window.asked = 0;
    options.token = async () => (await fetch(`/token?${window.asked += 1}`)).text();
  }
  const client = connect(options);
  note(client, about ? client[how](about, { history }) : client[how]());
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
        troubles.expect(expected)  # a browser says on the console whatever was cut off or refused
    html = '<!doctype html><meta charset="utf-8"><title>lab</title>'
    context.route("**/lab", lambda route: route.fulfill(body=html, content_type="text/html"))
    context.route("**/io.js", lambda route: route.fulfill(body=socket_io, content_type="text/javascript"))
    context.add_init_script(NOTE)

    def open_client(url, how, about, *, page=None, history=True, **options):
        page = page or context.new_page()
        page.goto(f"{url}/lab")
        page.evaluate(OPEN, {"options": options, "how": how, "about": about, "history": history})
        return page

    return open_client


def via(page, name):
    page.wait_for_function("name => window.states.at(-1) === name", arg=name)


def has_ended(page, job_id):
    page.wait_for_function("id => window.ends.includes(id)", arg=job_id)


def submit(system, user, wallets=3, **changes):
    return system.submit(userId=user, walletCount=wallets, buyAmount=0.02 * wallets, **changes)


def one_true_story(page, *job_ids, since=1):
    """Each event once and in order, and each end once."""
    for job_id in job_ids:
        has_ended(page, job_id)
    seen, ends = page.evaluate("[window.seen, window.ends]")
    for job_id in job_ids:
        assert seen[job_id] == list(range(since, seen[job_id][-1] + 1)), job_id
        assert ends.count(job_id) == 1


RUNGS = {"socket.io websocket": "", "socket.io polling": WEBSOCKET}
LOWER = {"sse": f"{WEBSOCKET}|{SOCKET_IO}", "polling": f"{WEBSOCKET}|{SOCKET_IO}|{STREAM}"}
CLIMB_MS = 45_000  # until a better rung is tried again, and what that takes


def test_the_client_steps_down_and_up_again_without_a_hole(system, tcp_proxy, open_client, context, user):
    context.set_default_timeout(CLIMB_MS)
    page = open_client(tcp_proxy.url, "trackUser", user, io=True)
    job_ids = []
    for name, refused in (RUNGS | LOWER).items():
        tcp_proxy.refuse(refused)
        job_ids.append(submit(system, user, 40))
        via(page, name)
        job_ids.append(submit(system, user, 5))
        has_ended(page, job_ids[-1])
    tcp_proxy.refuse()
    while not any(name == "socket.io websocket" for name in page.evaluate("window.states.slice(-1)")):
        job_ids.append(submit(system, user, 5))
        has_ended(page, job_ids[-1])
    one_true_story(page, *job_ids)


@pytest.mark.parametrize(("name", "refused"), [*reversed(LOWER.items()), ("socket.io polling", WEBSOCKET)])
def test_the_client_climbs_to_what_has_come_back(
    system, tcp_proxy, open_client, context, user, name, refused
):
    """From the bottom, by a clock that is moved on: nothing that is sent meanwhile is missed."""
    tcp_proxy.refuse(LOWER["polling"])
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
    one_true_story(page, first, submit(system, user, 5))


@pytest.mark.parametrize(("name", "refused"), (RUNGS | LOWER).items())
def test_a_job_is_told_from_its_beginning_by_every_rung(system, tcp_proxy, open_client, user, name, refused):
    tcp_proxy.refuse(refused)
    ended, running = submit(system, user), submit(system, user, 30)
    system.ended(ended)
    page = open_client(tcp_proxy.url, "track", [ended, running], io=True)
    via(page, name)
    one_true_story(page, ended, running)
    page.evaluate(
        "() => { window.other = client.track('unknown'); other.onError((e) => errors.push(e.code)); }"
    )
    page.wait_for_function("window.errors.includes('job_not_found')")


def test_without_socket_io_the_plain_websocket_is_used(system, open_client, user):
    page = open_client(system.url, "trackUser", user)
    via(page, "websocket")
    one_true_story(page, submit(system, user))


def test_what_began_and_ended_while_the_page_was_cut_off_is_told(system, tcp_proxy, open_client, user):
    page = open_client(tcp_proxy.url, "trackUser", user)
    first = submit(system, user)
    one_true_story(page, first)
    tcp_proxy.refuse("HTTP")
    page.wait_for_function("window.states.at(-1).startsWith('waiting')")
    missed = submit(system, user)
    system.ended(missed)
    tcp_proxy.refuse()
    one_true_story(page, first, missed)


def test_tabs_share_one_connection_and_the_others_go_on_when_one_closes(system, tcp_proxy, open_client, user):
    pages = [open_client(tcp_proxy.url, "trackUser", user) for _ in range(3)]
    for page in pages:
        via(page, "websocket")
    assert tcp_proxy.asked("GET /ws") == 1
    first = submit(system, user, 40)
    for page in pages:
        page.wait_for_function("id => window.seen[id]?.length > 3", arg=first)
    pages[0].close()  # it had the connection
    second = submit(system, user)
    for page in pages[1:]:
        one_true_story(page, first, second)
    assert tcp_proxy.asked("GET /ws") == 2


def test_a_tab_gets_the_rooms_that_it_alone_wants_until_it_is_gone(system, tcp_proxy, open_client, user):
    pages = {name: open_client(tcp_proxy.url, "trackUser", f"{user}-{name}") for name in "ab"}
    for page in pages.values():
        via(page, "websocket")
    job_ids = {name: submit(system, f"{user}-{name}") for name in "ab"}
    for name, page in pages.items():
        one_true_story(page, job_ids[name])
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


@pytest.mark.parametrize("io", [False, True])
def test_a_connection_is_in_no_room_of_a_job_that_has_ended(system, tcp_proxy, open_client, user, io):
    job_ids = [submit(system, user, wallets) for wallets in (2, 3, 40)]
    page = open_client(tcp_proxy.url, "track", job_ids, io=io)
    has_ended(page, job_ids[0])
    has_ended(page, job_ids[1])
    wait_until(lambda: rooms_in(system, job_ids) <= {job_ids[2]})
    page.evaluate("(user) => { window.more = client.trackUser(user, { history: true }); }", user)
    one_true_story(page, *job_ids)
    wait_until(lambda: not rooms_in(system, job_ids))


def rooms_in(system, job_ids):
    """The jobs in whose rooms somebody is."""
    return {job_id for job_id in job_ids if any(job_id in channel for channel in channels_of(system))}


def test_a_leading_tab_that_is_frozen_is_deposed(system, tcp_proxy, open_client, context, user):
    leader, other = (open_client(tcp_proxy.url, "trackUser", user) for _ in range(2))
    via(other, "websocket")
    leader.evaluate(
        "() => { BroadcastChannel.prototype.postMessage = () => {}; }"
    )  # it says nothing any more
    job_id = submit(system, user)
    one_true_story(other, job_id)
    assert tcp_proxy.asked("GET /ws") == 2


def test_a_page_that_is_loaded_again_goes_on_where_it_was(system, open_client, user):
    job_id = submit(system, user, 50)
    page = open_client(system.url, "track", job_id)
    page.wait_for_function("id => window.seen[id]?.length > 5", arg=job_id)
    asked = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda said: asked.append(said)))  # noqa: PLW0108
    page.evaluate("client.track('another-job')")  # must not hinder
    open_client(system.url, "track", job_id, page=page)
    has_ended(page, job_id)
    seen = page.evaluate("id => window.seen[id]", job_id)
    restored = [-seq for seq in seen if seq < 0]
    assert restored, "what it had is there at once"
    assert seen == [-seq for seq in restored] + list(range(len(restored) + 1, seen[-1] + 1))
    assert restored == list(range(1, len(restored) + 1))
    assert any(f'"after":{len(restored)}' in said for said in asked), asked
    assert page.evaluate("tracker.job().events.length") == seen[-1]
    assert page.evaluate("window.ends") == [job_id]


def test_a_page_that_slept_for_ten_minutes_finds_out_what_happened(
    system, tcp_proxy, open_client, context, user
):
    page = context.new_page()
    page.clock.install()
    open_client(tcp_proxy.url, "trackUser", user, page=page)
    via(page, "websocket")
    job_id = submit(system, user, 30)
    page.wait_for_function("id => window.seen[id]?.length > 2", arg=job_id)
    tcp_proxy.sleep()  # as while a machine sleeps: nothing comes, and nobody says so
    missed = submit(system, user)
    for each in (job_id, missed):
        system.ended(each)
    page.clock.fast_forward(600_000)
    page.clock.fast_forward(16_000)  # awake again: a dead connection is noticed within 15 s
    one_true_story(page, job_id, missed)


def test_who_polls_rests_while_nobody_looks(system, tcp_proxy, open_client, context, user):
    tcp_proxy.refuse(LOWER["polling"])
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
    one_true_story(page, job_id)


def grows(proxy, for_s=2.5):
    before = len(proxy.heads)
    deadline = time.monotonic() + for_s
    while time.monotonic() < deadline:
        if len(proxy.heads) > before:
            return True
        time.sleep(0.05)
    return False


def test_who_polls_many_jobs_keeps_to_five_requests_a_second(system, tcp_proxy, open_client, user):
    tcp_proxy.refuse(LOWER["polling"])
    job_ids = [submit(system, user, 20) for _ in range(20)]
    begun_s = time.monotonic()
    page = open_client(tcp_proxy.url, "track", job_ids)
    one_true_story(page, *job_ids)
    asked = tcp_proxy.asked("/events")
    assert asked >= len(job_ids)
    assert asked <= 5 * (time.monotonic() - begun_s) + 1


@pytest.mark.parametrize("refused", [*RUNGS.values(), *LOWER.values()])
def test_events_that_are_gone_are_told_as_a_gap(system, tcp_proxy, open_client, user, refused):
    tcp_proxy.refuse(refused)
    job_id = submit(system, user)
    system.ended(job_id)
    with system.store() as store:
        store.xtrim(keys.events(job_id), minid="4-0", approximate=False)
    page = open_client(tcp_proxy.url, "track", job_id, io=True)
    one_true_story(page, job_id, since=4)
    assert page.evaluate("window.gaps") == [{"jobId": job_id, "after": 0, "oldestSeq": 4}]


@pytest.fixture(scope="module")
def guarded():
    """A system that wants tokens, and lets each user ask forty times a minute."""
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
    """What the page's backend answers when it is asked for a token: the next of these, the last for ever."""

    def give_tokens(*make):
        given = iter(make)
        last = [None]

        def answer(route):
            last[0] = next(given, last[0])
            route.fulfill(body=last[0]())

        context.route("**/token?*", answer)

    return give_tokens


def test_a_token_is_replaced_before_it_ends_and_the_connection_stays(guarded, open_client, give_tokens, user):
    ends_s = time.time() + 30  # it is replaced 6 s before, which a browser on a busy machine may need
    give_tokens(lambda: token(user, exp=ends_s), lambda: token(user))
    page = open_client(guarded.url, "trackUser", user, tokens=True)
    via(page, "websocket")
    page.wait_for_function("window.asked === 2", timeout=40_000)
    time_over = ends_s + 1
    wait_until(lambda: time.time() > time_over)
    one_true_story(page, submit_as(guarded, user))
    assert page.evaluate("window.states.filter((name) => name === 'websocket').length") == 1


def test_who_was_cut_off_comes_back_with_another_token(guarded, open_client, give_tokens, user):
    give_tokens(lambda: token(user, jti=f"{user}-1"), lambda: token(user, jti=f"{user}-2"))
    page = open_client(guarded.url, "trackUser", user, tokens=True)
    via(page, "websocket")
    with guarded.store() as store:
        revoke(store, token_id=f"{user}-1", keep_s=600)
    page.wait_for_function("window.states.filter((name) => name === 'websocket').length === 2")
    one_true_story(page, submit_as(guarded, user))


def test_who_has_no_other_token_is_told_and_not_tried_again(guarded, open_client, user):
    page = open_client(guarded.url, "trackUser", user, token=token(user, exp=time.time() + 3))
    via(page, "websocket")
    page.wait_for_function("window.states.at(-1) === 'refused token_expired'")


# There is no stream of everybody's jobs: the rung of streams polls them.
@pytest.mark.parametrize(("name", "refused"), (RUNGS | {"sse": LOWER["sse"]}).items())
def test_a_user_is_refused_everybodys_room_by_every_rung(guarded, open_client, user, name, refused):
    proxy = TcpProxy(guarded.settings.port)
    proxy.refuse(refused)
    page = open_client(proxy.url, "trackAll", None, io=True, token=token(user))
    via(page, name)
    page.wait_for_function("window.errors.length")
    assert page.evaluate("window.errors[0]") == ["forbidden", None]
    assert page.evaluate("tracker.snapshot.error.code") == "forbidden"
    proxy.close()


def test_an_admin_follows_every_job_by_polling(guarded, open_client, user):
    proxy = TcpProxy(guarded.settings.port)
    proxy.refuse(LOWER["sse"])
    page = open_client(proxy.url, "trackAll", None, token=token("boss", role="admin"))
    via(page, "sse")
    # Jobs that end before the first poll are not shown. A second poll shows that the first was answered.
    wait_until(lambda: proxy.asked("limit=50") > 1)
    has_ended(page, submit_as(guarded, user))
    proxy.close()


def test_who_is_told_to_ask_less_does_and_still_gets_everything(guarded, context, open_client, user):
    proxy = TcpProxy(guarded.settings.port)
    proxy.refuse(LOWER["polling"])
    job_ids = [submit_as(guarded, user, 2) for _ in range(10)]
    context.set_default_timeout(90_000)
    page = open_client(proxy.url, "track", job_ids, token=token(user))
    one_true_story(page, *job_ids)
    more = submit_as(guarded, user, 2)
    page.evaluate("(id) => note(client, client.track(id))", more)
    for _ in range(30):
        page.evaluate("client.jobs().catch(() => {})")
    one_true_story(page, more)
    proxy.close()


def test_an_operation_is_started_once_however_often_its_request_is_cut_off(
    system, tcp_proxy, open_client, user
):
    page = open_client(tcp_proxy.url, "trackUser", user)
    via(page, "websocket")
    request = {"tokenAddress": MINT, "userId": user, "userChatId": 1, "mode": "prefunded", "buyAmount": 0.05}
    tcp_proxy.lose_answers("POST /api/cto/jobs")
    page.evaluate("(request) => { window.submitted = client.submit(request); }", request)
    wait_until(lambda: tcp_proxy.asked("POST /api/cto/jobs") >= 2)
    tcp_proxy.lose_answers()
    job_id = page.evaluate("async () => (await window.submitted).jobId")
    one_true_story(page, job_id)
    assert [job["jobId"] for job in system.get("/api/cto/jobs", userId=user)["jobs"]] == [job_id]


def test_a_browser_that_cannot_share_connects_each_tab_by_itself(
    system, tcp_proxy, open_client, context, user
):
    context.add_init_script("Object.defineProperty(navigator, 'locks', { value: undefined });")
    pages = [open_client(tcp_proxy.url, "trackUser", user) for _ in range(2)]
    for page in pages:
        via(page, "websocket")
    assert tcp_proxy.asked("GET /ws") == 2
    job_id = submit(system, user)
    for page in pages:
        one_true_story(page, job_id)


def test_another_users_tab_shares_nothing(guarded, context, open_client, user):
    proxy = TcpProxy(guarded.settings.port)
    mine = open_client(proxy.url, "trackUser", user, token=token(user))
    other = open_client(proxy.url, "trackUser", f"{user}-2", token=token(f"{user}-2"))
    for page in (mine, other):
        via(page, "websocket")
    assert proxy.asked("GET /ws") == 2
    one_true_story(mine, submit_as(guarded, user))
    assert other.evaluate("window.seen") == {}
    proxy.close()


def test_more_jobs_than_a_browser_has_connections_are_followed_by_streams(
    system, tcp_proxy, open_client, user
):
    tcp_proxy.refuse(LOWER["sse"])
    job_ids = [submit(system, user, 20) for _ in range(8)]
    page = open_client(tcp_proxy.url, "track", job_ids)
    via(page, "sse")
    one_true_story(page, *job_ids)
