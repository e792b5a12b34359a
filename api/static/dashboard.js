// The dashboard: creates the client, and connects the parts of the page to it.
import { connect } from "/client/index.js";
import { history } from "/static/history.js";
import { showRoom } from "/static/live.js";
import { $, setText } from "/static/page.js";
import { requestSignIn, ownUser, session, token } from "/static/session.js";
import { startForm } from "/static/submit.js";

const STATES = {
  connecting: () => "connecting",
  live: ({ via }) => (via === "polling" ? "live, by polling" : "live"),
  waiting: () => "not reachable, trying again",
  refused: ({ error }) => error?.message ?? "refused",
};
const ALL_ROOM = "admin_launches";
const query = new URLSearchParams(location.search);

let client;
let leave = () => {};
let room = query.get("room") || ALL_ROOM;
const past = history(() => client, ownUser);

async function start() {
  leave();
  past.close();
  client?.close();
  client = query.has("simulate") ? (await import("/client/simulate.js")).simulate() : connect({ token: token() });
  client.onConnection(showConnection);
  const user = ownUser();
  if (user !== undefined) {
    $("userId").value = user;
    $("userId").readOnly = true;
    if (!room.startsWith("job_")) room = `user_${user}`;
  }
  for (const option of $("view-kind").options) option.hidden = option.disabled = user !== undefined && option.value === "all";
  $("history-user").hidden = document.querySelector("[for=history-user]").hidden = user !== undefined;
  $("sign-out").hidden = token() === undefined;
  watch();
  if (!$("history").hidden) void past.show();
}

function showConnection(connection) {
  const isSignedOut = requestSignIn(connection);
  const { state } = connection;
  $("main").hidden = isSignedOut;
  $("retry").hidden = isSignedOut || !(state === "waiting" || state === "refused");
  $("connection").dataset.state = state;
  setText($("connection"), isSignedOut ? "not signed in" : STATES[state]?.(connection) ?? state);
}

// --- selection of operations ---

function watch() {
  leave();
  const [, kind = "all", id = ""] = /^(user|job)_(.*)$/.exec(room) ?? [];
  $("view-kind").value = kind;
  $("view-id").value = id;
  $("view-id").hidden = $("view-show").hidden = kind === "all";
  leave = showRoom(client, kind, id);
}

function show(next) {
  room = next;
  const address = new URL(location.href);
  address.searchParams.set("room", room);
  window.history.pushState(null, "", address);
  watch();
}

$("view-kind").onchange = () => {
  const kind = $("view-kind").value;
  $("view-id").hidden = $("view-show").hidden = kind === "all";
  $("view-id").value = kind === "user" ? ownUser() ?? $("userId").value : "";
  if (kind === "job") $("view-id").focus();
  else show(kind === "all" ? ALL_ROOM : `user_${$("view-id").value}`);
};
$("view").onsubmit = (submission) => {
  submission.preventDefault();
  const id = $("view-id").value.trim();
  if (id) show(`${$("view-kind").value}_${id}`);
};
window.onpopstate = () => {
  room = new URLSearchParams(location.search).get("room") || ALL_ROOM;
  watch();
};

// --- tabs ---

const tabs = [$("tab-live"), $("tab-history")];

function select(tab) {
  for (const each of tabs) {
    const isSelected = each === tab;
    each.setAttribute("aria-selected", String(isSelected));
    each.tabIndex = isSelected ? 0 : -1;
    $(each.getAttribute("aria-controls")).hidden = !isSelected;
  }
  $("view").hidden = tab === tabs[1];
  if (tab === tabs[1]) void past.show();
  else past.close();
}

for (const tab of tabs) {
  tab.onclick = () => select(tab);
  tab.onkeydown = ({ key }) => {
    if (key !== "ArrowLeft" && key !== "ArrowRight") return;
    const other = tabs.find((each) => each !== tab);
    select(other);
    other.focus();
  };
}

$("retry").onclick = () => client.reconnect();
// The form is beside the list on wide screens, and folded above it on narrow ones.
const narrow = matchMedia("(max-width: 61.99rem)");
const fold = () => { $("start-panel").open = !narrow.matches; };
narrow.onchange = fold;
fold();
session(start);
startForm(() => client, () => select(tabs[0]));
void start();
