// The live page. Speaks Engine.IO 4 and Socket.IO 5 over a WebSocket by itself, so that it needs no build and no library.
// Protocols: https://socket.io/docs/v4/engine-io-protocol/ and https://socket.io/docs/v4/socket-io-protocol/

const KEPT_JOBS = 200;
const PAST_JOBS = 20; // shown of those before the page was opened
const STORE_RETRY_MS = 2_000;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 10_000;
const TOKEN = "cto-token"; // in the tab's own storage
const ENDED = new Set(["completed", "failed"]);
const $ = (id) => document.getElementById(id);

const jobs = new Map(); // job id → { latest, events (seq → event), createdAt, node }
let room = new URLSearchParams(location.search).get("room") || "admin_launches";
let join = () => {};
let leave = () => {};

// --- connection ---

function connect(retryMs = FIRST_RETRY_MS) {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/socket.io/?EIO=4&transport=websocket`);
  let silence; // a server that does not ping in time is gone, whatever the socket says
  let patienceMs = 20_000;
  let nextRetryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS);
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(() => socket.close(), patienceMs);
  };
  heard();
  socket.onmessage = ({ data }) => {
    heard();
    if (data[0] === "0") { // opened
      const { pingInterval, pingTimeout } = JSON.parse(data.slice(1));
      patienceMs = pingInterval + pingTimeout;
      socket.send(`40${JSON.stringify({ token: token() })}`);
    } else if (data === "2") { // ping
      socket.send("3");
    } else if (data.startsWith("40")) { // in the namespace
      nextRetryMs = FIRST_RETRY_MS;
      show("live", "live");
      join = () => socket.send(`420${JSON.stringify(["join_room", room])}`); // 0: we want an answer
      leave = () => socket.send(`42${JSON.stringify(["leave_room", room])}`);
      join();
    } else if (data.startsWith("44")) { // refused
      const refusal = JSON.parse(data.slice(2));
      socket.onclose = null;
      socket.close();
      if (refusal.data?.code.endsWith("_unavailable")) setTimeout(() => connect(nextRetryMs), STORE_RETRY_MS);
      else askWho(refusal.message);
    } else if (data.startsWith("42")) { // event
      const [name, payload] = JSON.parse(data.slice(2));
      if (name === "worker_progress") take(payload);
      else if (name === "auth_expired") {
        socket.onclose = null;
        socket.close();
        askWho(payload.message);
      }
    } else if (data.startsWith("430")) { // answer to our join
      const [answer] = JSON.parse(data.slice(3));
      tell($("room-error"), answer.success ? "" : `${answer.error.code}: ${answer.error.message}`);
      if (answer.success) catchUp();
      else if (answer.error.code === "store_unavailable") setTimeout(() => join(), STORE_RETRY_MS);
    }
  };
  socket.onclose = () => {
    clearTimeout(silence);
    join = leave = () => {};
    show("lost", "connection lost, trying again");
    setTimeout(() => connect(nextRetryMs), nextRetryMs * (0.5 + Math.random() / 2));
  };
}

// --- who we are ---

function token() {
  return sessionStorage.getItem(TOKEN) ?? "";
}

function askWho(why) {
  join = leave = () => {};
  show("lost", "not signed in");
  tell($("sign-in-error"), token() ? why : "");
  $("sign-in").hidden = false;
  $("sign-in-form").elements.token.focus();
}

// The user whose token it is, as it says itself.
function ownUser() {
  try {
    const payload = token().split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const { sub, role } = JSON.parse(atob(payload));
    return role ? undefined : sub;
  } catch {
    return undefined;
  }
}

// A user may see the own room only.
function goHome() {
  const user = ownUser();
  if (user === undefined) return;
  $("start").elements.userId.value = user;
  if (room === "admin_launches") room = `user_${user}`;
  $("watch").elements.room.value = room;
}

$("sign-in-form").onsubmit = (submission) => {
  submission.preventDefault();
  sessionStorage.setItem(TOKEN, submission.target.elements.token.value.trim());
  submission.target.reset();
  $("sign-in").hidden = true;
  goHome();
  connect();
};

function show(state, text) {
  $("connection").dataset.state = state;
  $("connection").textContent = text;
}

function tell(node, text) {
  node.textContent = text;
  node.hidden = !text;
}

// --- jobs ---

function take(event) {
  let job = jobs.get(event.jobId);
  if (!job) {
    job = { latest: event, events: new Map(), node: newNode(event.jobId) };
    jobs.set(event.jobId, job);
    place(job, event.timestamp); // exact if it is the first event; else the list will tell
    if (jobs.size > KEPT_JOBS) forgetOldest();
  }
  job.events.set(event.seq, event);
  if (event.seq >= job.latest.seq) job.latest = event;
  draw(job);
  $("empty").hidden = true;
}

function forgetOldest() {
  const oldest = $("jobs").lastElementChild;
  jobs.delete(oldest.dataset.jobId);
  oldest.remove();
}

// Newest first.
function place(job, createdAt) {
  job.createdAt = createdAt;
  const others = [...$("jobs").children].filter((node) => node !== job.node);
  const older = others.find((node) => jobs.get(node.dataset.jobId).createdAt <= createdAt);
  $("jobs").insertBefore(job.node, older ?? null);
}

// Joining a room brings its open jobs. What it does not: how those ended that ended while we were away, and
// what had run before.
async function catchUp() {
  const watched = room;
  const running = [...jobs.keys()].filter((id) => isRunning(id));
  const past = await pastJobs(watched);
  if (room !== watched) return;
  for (const { latestProgress, createdAt } of past.toReversed()) {
    take(latestProgress);
    const job = jobs.get(latestProgress.jobId);
    if (job && createdAt !== job.createdAt) place(job, createdAt);
  }
  await Promise.all(running.filter((id) => isRunning(id)).map(async (id) => {
    const answer = await ask("GET", `/api/cto/job/${id}/latest`);
    if (answer.success && jobs.has(id)) take(answer.data);
  }));
}

function isRunning(id) {
  const job = jobs.get(id);
  return job !== undefined && !ENDED.has(job.latest.status);
}

async function pastJobs(watched) {
  const [, kind, id] = /^(user|job)_(.*)$/.exec(watched) ?? [];
  if (kind === "job") {
    const answer = await ask("GET", `/api/cto/job/${encodeURIComponent(id)}/events`);
    const events = answer.data?.events ?? [];
    return events.length ? [{ latestProgress: events.at(-1), createdAt: events[0].timestamp }] : [];
  }
  const user = kind === "user" ? `&userId=${encodeURIComponent(id)}` : "";
  const answer = await ask("GET", `/api/cto/jobs?limit=${PAST_JOBS}${user}`);
  if (answer.success && watched === room) $("empty").hidden = jobs.size + answer.data.jobs.length > 0;
  return answer.data?.jobs ?? [];
}

function newNode(jobId) {
  const node = $("job").content.firstElementChild.cloneNode(true);
  node.dataset.jobId = jobId;
  node.querySelector(".cancel").onclick = () => cancel(jobId);
  node.querySelector("details").ontoggle = ({ target }) => target.open && loadHistory(jobId);
  return node;
}

function draw({ latest, events, node }) {
  const details = latest.details ?? {};
  const ended = ENDED.has(latest.status);
  const find = (name) => node.querySelector(name);
  node.dataset.status = latest.status;
  find(".token").textContent = shorten(latest.tokenAddress);
  find(".token").title = latest.tokenAddress;
  find(".facts").textContent =
    `${latest.buyAmount} SOL · ${latest.mode} · ${latest.platform} · user ${latest.userId}`;
  find(".result").textContent = ended ? latest.status : "";
  find(".cancel").hidden = ended;
  const bar = find(".progress");
  bar.setAttribute("aria-valuenow", latest.progress);
  bar.setAttribute("aria-label", `Progress of ${shorten(latest.tokenAddress)}`);
  find(".fill").style.width = `${latest.progress}%`;
  find(".phase").textContent = ended ? latest.phaseTitle
    : `${latest.phase}/5 ${latest.phaseTitle}: ${details.currentOperation ?? ""}`;
  find(".time").textContent = time(latest, details, ended);
  find(".counts").textContent = counts(details);
  tell(find(".error"), details.errorCode ? `${details.errorCode}: ${details.error}` : "");
  if (find("details").open) drawLog(events, find(".log"));
}

function time(latest, details, ended) {
  const at = new Date(latest.timestamp).toLocaleTimeString();
  if (!ended && details.estimatedTimeRemaining !== undefined) {
    return `about ${Math.ceil(details.estimatedTimeRemaining / 1000)} s left · ${at}`;
  }
  return at;
}

function counts(details) {
  if (details.totalSpent === undefined) return "";
  const words = [`${details.successfulBuys} bought`, `${details.failedBuys} failed`];
  if (details.unknownBuys) words.push(`${details.unknownBuys} unknown`);
  words.push(`${details.totalSpent.toFixed(6)} SOL spent`, `${details.walletsUsed} wallets`);
  return words.join(" · ");
}

function drawLog(events, log) {
  const rows = [...events.values()].sort((a, b) => a.seq - b.seq).map((event) => {
    const row = document.createElement("li");
    const text = event.details?.error ?? event.details?.currentOperation ?? event.phaseDescription;
    for (const cell of [event.seq, `${event.progress.toFixed(0)} %`, text]) {
      row.append(Object.assign(document.createElement("span"), { textContent: cell }));
    }
    return row;
  });
  log.replaceChildren(...rows);
}

async function loadHistory(jobId) {
  const job = jobs.get(jobId);
  const answer = await ask("GET", `/api/cto/job/${jobId}/events`);
  for (const event of answer.data?.events ?? []) job.events.set(event.seq, event);
  draw(job);
}

async function cancel(jobId) {
  const answer = await ask("POST", `/api/cto/job/${jobId}/cancel`);
  const job = jobs.get(jobId);
  if (answer.success) job.node.querySelector(".cancel").disabled = true;
  else tell(job.node.querySelector(".error"), answer.error.message);
}

function shorten(address) {
  return address.length > 14 ? `${address.slice(0, 6)}…${address.slice(-6)}` : address;
}

// --- REST ---

async function ask(method, path, body) {
  try {
    const response = await fetch(path, {
      method,
      headers: {
        ...(body && { "Content-Type": "application/json" }),
        ...(token() && { Authorization: `Bearer ${token()}` }),
      },
      body: body && JSON.stringify(body),
    });
    return await response.json();
  } catch {
    return { success: false, error: { code: "unreachable", message: "The gateway does not answer." } };
  }
}

$("start").onsubmit = async (submission) => {
  submission.preventDefault();
  const form = submission.target;
  const body = Object.fromEntries(new FormData(form));
  for (const name of ["userChatId", "buyAmount", "walletCount"]) body[name] = Number(body[name]);
  const answer = await ask("POST", "/api/cto/jobs", body);
  const wrong = answer.error?.details?.fields ?? {};
  for (const input of form.elements) {
    if (input.name) input.setAttribute("aria-invalid", String(input.name in wrong));
  }
  const lines = Object.entries(wrong).map(([name, texts]) => `${name}: ${[texts].flat(3).join(" ")}`);
  tell($("form-error"), answer.success ? "" : lines.join("\n") || answer.error.message);
};

$("watch").onsubmit = (submission) => {
  submission.preventDefault();
  leave();
  room = new FormData(submission.target).get("room").trim();
  history.replaceState(null, "", `?room=${encodeURIComponent(room)}`);
  jobs.clear();
  $("jobs").replaceChildren();
  $("empty").hidden = true;
  join();
};

// --- a random token: 32 bytes in base58, ending in "pump" ---

const BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const SUFFIX = "pump";

function randomToken() {
  const bytes = crypto.getRandomValues(new Uint8Array(31)); // below 2^248, so that the suffix cannot overflow
  let number = bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 1n); // a leading one keeps it at 32 bytes
  const size = 58n ** BigInt(SUFFIX.length);
  const suffix = [...SUFFIX].reduce((sum, digit) => sum * 58n + BigInt(BASE58.indexOf(digit)), 0n);
  number = number - (number % size) + suffix;
  let text = "";
  for (; number > 0n; number /= 58n) text = BASE58[Number(number % 58n)] + text;
  return text;
}

$("new-token").onclick = () => { $("start").elements.tokenAddress.value = randomToken(); };
$("watch").elements.room.value = room;
goHome();
connect();
