"""React hooks and Vue composables: pending states, selections, mutations and the history."""

from __future__ import annotations

import pytest

REACT = """
import { createElement as h, useState } from "react";
import { createRoot } from "react-dom/client";
import { simulate } from "cto-progress/simulate";
import {
  CTOProvider, useCTOBatch, useCTOCancel, useCTOHistory, useCTOJob, useCTOJobs, useCTOSubmit,
} from "cto-progress/react";

const user = { userId: "u", userChatId: 1 };
const request = { ...user, tokenAddress: "t", mode: "standard", buyAmount: 1, walletCount: 3 };
const client = simulate({ speed: 5 });
window.states = { job: [], jobs: [], none: [], empty: [] };
window.selected = [];
const note = (name, { isPending, error }, received) => {
  states[name].push([isPending, received, error]);
};

function Job({ id }) {
  const job = useCTOJob(id);
  note("job", job, job.latest !== null);
  note("none", useCTOJob(null), false);
  note("empty", useCTOBatch([]), false);
  return h("p", null, `job ${job.progress} ${job.events.length}`);
}
function Half({ id }) {
  const select = ({ progress, phase }) => ({ half: progress >= 50, phase: Math.min(phase, 1) });
  const { half, phase } = useCTOJob(id, select);
  selected.push(`${half} ${phase}`);
  return h("p", null, `half ${half}`);
}
function Count() {
  const count = useCTOJobs({ user: "u" }, ({ stats }) => stats.completed);
  return h("p", null, `completed ${count}`);
}
function Room({ user }) {
  const room = useCTOJobs({ user });
  note("jobs", room, room.jobs.length > 0);
  return h("p", null, `room ${room.isPending} ${room.jobs.length}`);
}
function App() {
  const submit = useCTOSubmit();
  const cancel = useCTOCancel();
  const history = useCTOHistory({ limit: 2 });
  const [id, setId] = useState(null);
  window.submit = () => submit.mutateAsync(request).then(({ jobId }) => setId(jobId));
  window.cancel = (jobId) => cancel.mutate(jobId);
  Object.assign(window, { history_: history });
  return [
    h("p", { key: 0 }, `submit ${submit.status} cancel ${cancel.status}`),
    h("p", { key: 1 }, `cancel ${cancel.status} ${cancel.error?.code}`),
    h("p", { key: 2 }, `history ${history.isPending} ${history.jobs.length} ${history.hasNextPage}`),
    id && h(Job, { key: 3, id }),
    id && h(Half, { key: 4, id }),
    h(Room, { key: 5, user: "nobody" }),
    h(Count, { key: 6 }),
  ];
}
createRoot(document.getElementById("root")).render(h(CTOProvider, { value: client }, h(App)));
"""
VUE = """
import { computed, createApp, h, ref } from "vue";
import { simulate } from "cto-progress/simulate";
import {
  provideCTO, useCTOBatch, useCTOCancel, useCTOHistory, useCTOJob, useCTOJobs, useCTOSubmit,
} from "cto-progress/vue";

const user = { userId: "u", userChatId: 1 };
const request = { ...user, tokenAddress: "t", mode: "standard", buyAmount: 1, walletCount: 3 };
window.states = { job: [], jobs: [], none: [], empty: [] };
window.selected = [];
const note = (name, { isPending, error }, received) => {
  states[name].push([isPending.value, received, error.value]);
};
const shown = (value) => value.value?.length ?? value.value ?? value;

const Job = {
  props: ["id"],
  setup(props) {
    const job = useCTOJob(() => props.id);
    const none = useCTOJob(null);
    const empty = useCTOBatch([]);
    return () => {
      note("job", job, job.latest.value !== null);
      note("none", none, false);
      note("empty", empty, false);
      return h("p", `job ${job.progress.value} ${job.events.value.length}`);
    };
  },
};
const Half = {
  props: ["id"],
  setup(props) {
    const { progress, phase } = useCTOJob(() => props.id);
    const half = computed(() => progress.value >= 50);
    const first = computed(() => Math.min(phase.value, 1));
    return () => {
      selected.push(`${half.value} ${first.value}`);
      return h("p", `half ${half.value}`);
    };
  },
};
const Room = {
  setup() {
    const room = useCTOJobs({ user: "nobody" });
    return () => {
      note("jobs", room, room.jobs.value.length > 0);
      return h("p", `room ${room.isPending.value} ${room.jobs.value.length}`);
    };
  },
};
const App = {
  setup() {
    const submit = useCTOSubmit();
    const cancel = useCTOCancel();
    const history = useCTOHistory({ limit: 2 });
    const all = useCTOJobs({ user: "u" });
    const id = ref(null);
    window.submit = () => submit.mutateAsync(request).then(({ jobId }) => { id.value = jobId; });
    window.cancel = (jobId) => cancel.mutate(jobId);
    window.history_ = history;
    return () => [
      h("p", `submit ${submit.status.value} cancel ${cancel.status.value}`),
      h("p", `cancel ${cancel.status.value} ${cancel.error.value?.code}`),
      h("p", ["history", history.isPending, history.jobs, history.hasNextPage].map(shown).join(" ")),
      id.value && h(Job, { id: id.value }),
      id.value && h(Half, { id: id.value }),
      h(Room),
      h("p", `completed ${all.stats.value.completed}`),
    ];
  },
};
const app = createApp(App);
provideCTO(simulate({ speed: 5 }), app);
app.mount("#root");
"""
PROGRAMS = {"react": REACT, "vue": VUE}


@pytest.fixture(params=PROGRAMS, scope="module")
def program(request, bundle):
    return bundle(PROGRAMS[request.param])


@pytest.fixture
def hooks(page, program):
    """A page that uses every hook on simulated operations."""
    html = '<!doctype html><div id="root"></div><script type="module" src="/hooks.js"></script>'
    page.route("**/hooks", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.route("**/hooks.js", lambda route: route.fulfill(body=program, content_type="text/javascript"))
    page.goto("http://app.test/hooks")
    page.get_by_text("submit idle cancel idle").wait_for()
    return page


def test_a_hook_is_pending_until_it_has_an_event_or_an_error(hooks):
    hooks.get_by_text("room false 0").wait_for()
    hooks.evaluate("submit()")
    hooks.get_by_text("completed 1").wait_for()
    hooks.get_by_text("job 100").wait_for()
    states = hooks.evaluate("states")
    assert states["job"][0] == [True, False, None]
    assert {tuple(state) for state in states["job"]} == {(True, False, None), (False, True, None)}
    assert states["jobs"][0] == [True, False, None]
    assert states["jobs"][-1] == [False, False, None]
    assert {tuple(state) for name in ("none", "empty") for state in states[name]} == {(False, False, None)}


def test_a_selected_value_renders_only_when_it_changes(hooks):
    hooks.evaluate("submit()")
    hooks.get_by_text("job 100").wait_for()
    hooks.get_by_text("half true").wait_for()
    assert int(hooks.get_by_text("job 100").text_content().split()[-1]) > 5, "events"
    selected = hooks.evaluate("selected")
    changes = [value for value, before in zip(selected, [None, *selected], strict=False) if value != before]
    assert changes[-2:] == ["false 1", "true 1"]
    assert len(selected) <= len(changes) + 1, "React also renders when the tracker is created"


def test_mutations_show_the_state_of_their_latest_call(hooks):
    hooks.evaluate("submit()")
    hooks.get_by_text("submit success").wait_for()
    hooks.evaluate("cancel('unknown')")
    hooks.get_by_text("cancel error job_not_found").wait_for()


def test_the_history_is_read_page_by_page(hooks):
    hooks.get_by_text("history false 0 false").wait_for()
    for _ in range(3):
        hooks.evaluate("submit()")
    hooks.evaluate("history_.refetch()")
    hooks.get_by_text("history false 2 true").wait_for()
    hooks.evaluate("history_.fetchNextPage()")
    hooks.get_by_text("history false 3 false").wait_for()
