// The client with a scripted transport: addresses, rooms, and limits.
import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { connect } from "../src/client.js";
import { CTOError } from "../src/errors.js";
import * as polling from "../src/transports/polling.js";

beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 1_800_000_000_000 }));
afterEach(() => mock.timers.reset());

const settle = async () => {
  for (let round = 0; round < 5; round += 1) await new Promise((resolve) => { setImmediate(resolve); });
};
const pass = async (ms) => {
  mock.timers.tick(ms);
  await settle();
};
const event = (jobId, seq, status = "in_progress") => ({ jobId, seq, status, userId: "7", timestamp: Date.now() });
const tooMany = () => new CTOError("too_many_rooms", "this connection is in too many rooms");

/** Connect a client with a scripted transport. `commands` are the commands that it received; `emit` sends a message to the client. */
async function connected(track) {
  const commands = [];
  let context;
  const names = ["join", "leave", "follow", "catchUp", "refresh", "close"];
  const open = async (opened) => {
    context = opened;
    return Object.fromEntries(names.map((name) => [name, (target) => commands.push(`${name} ${target}`)]));
  };
  const client = connect({ url: "http://gateway", transports: [{ name: "test", open }], storage: null });
  const tracker = track(client);
  await settle();
  return { client, tracker, commands, emit: (...message) => context.emit(...message), cut: () => context.onClosed(new CTOError("unreachable", "cut")) };
}

test("the address of a gateway has a scheme of HTTP or WebSocket", async () => {
  const requested = [];
  mock.method(globalThis, "fetch", async (address) => {
    requested.push(address);
    return Response.json({ success: true, data: {} });
  });
  for (const url of ["http://a", "ws://a:3000/", "wss://a.example", "https://a.example/sub//", new URL("http://[::1]:3000")]) {
    await connect({ url }).status("j");
  }
  const bases = ["http://a", "http://a:3000", "https://a.example", "https://a.example/sub", "http://[::1]:3000"];
  assert.deepEqual(requested, bases.map((base) => `${base}/api/cto/job/j/status`));
  mock.restoreAll();
});

test("filters and ids are sent as parameters, without those that have no value", async () => {
  const requested = [];
  mock.method(globalThis, "fetch", async (address) => {
    requested.push(address.replace("http://a/api/cto/jobs", ""));
    return Response.json({ success: true, data: {} });
  });
  const client = connect({ url: "http://a" });
  await client.jobs();
  await client.jobs({ needsReview: false, from: 0, status: undefined, cursor: null, userId: "", limit: 5 });
  await client.summary({ outcome: "partial", needsReview: true, userId: "a b" });
  await client.stats(["a", "b"]);
  assert.deepEqual(requested, [
    "?", "?needsReview=false&from=0&limit=5", "/summary?outcome=partial&needsReview=true&userId=a+b", "/stats?jobIds=a%2Cb",
  ]);
  mock.restoreAll();
});

test("every other address is rejected", () => {
  for (const url of ["gateway.example:3000", "//gateway", "ftp://gateway", "http://", "http://a?b", "http://a b", "", "null", undefined]) {
    assert.throws(() => connect({ url }), (error) => error.code === "invalid_options" && error.message.includes(`"${url}"`), url);
  }
});

test("a text that is no token is rejected", () => {
  assert.throws(() => connect({ url: "http://gateway", token: "<!doctype html>\n" }), { code: "invalid_options", message: /^token contains "<"/ });
});

test("the connection is connecting as soon as a job is tracked, also while the token is awaited", () => {
  const client = connect({ url: "http://gateway", token: () => new Promise(() => {}) });
  const states = [];
  client.onConnection(({ state }) => states.push(state));
  assert.equal(client.connection.state, "idle");
  client.track("a");
  assert.equal(client.connection.state, "connecting");
  client.track("b");
  client.close();
  assert.deepEqual(states, ["connecting", "closed"]);
});

test("a page whose origin the gateway refuses gets the reason, although its browser hides the response", async (context) => {
  const refused = { success: false, error: { code: "origin_not_allowed", message: "restart it with CTO_CORS_ORIGINS=http://page" } };
  const requests = [];
  let plain = () => Response.json(refused, { status: 403 }); // the response to a request without headers
  globalThis.location = { origin: "http://page" };
  context.after(() => delete globalThis.location);
  mock.method(globalThis, "fetch", async (address, { method, headers } = {}) => {
    requests.push(method ?? "plain");
    if (headers) throw new TypeError("Failed to fetch");
    return plain();
  });
  const reason = { code: "origin_not_allowed", status: 403, message: refused.error.message };
  await assert.rejects(connect({ url: "http://gateway" }).status("j"), reason);
  await assert.rejects(connect({ url: "http://gateway" }).submit({ userId: "7" }), reason);
  assert.deepEqual(requests, ["GET", "plain", "POST", "plain"], "the refusal is final: no request is repeated");
  plain = () => Response.json({ success: true, data: { jobs: [] } }); // the gateway was away only for the first request
  await assert.rejects(connect({ url: "http://gateway" }).status("j"), { code: "unreachable" });
  plain = () => { throw new TypeError("Failed to fetch"); };
  await assert.rejects(connect({ url: "http://gateway" }).status("j"), { code: "unreachable" });
  requests.length = 0;
  await assert.rejects(connect({ url: "http://page" }).status("j"), { code: "unreachable" });
  assert.deepEqual(requests, ["GET"], "the page's own gateway answers every request");
  mock.restoreAll();
});

test("the client leaves the rooms of ended jobs, five per second", async () => {
  const jobs = [...Array(20).keys()].map(String);
  const { client, commands, emit } = await connected((client) => client.track(jobs));
  for (const job of jobs) emit("resumed", job, [event(job, 1)]);
  await pass(10_000);
  assert.deepEqual(commands.filter((command) => command.startsWith("leave")), [], "the other jobs are still followed");
  for (const job of jobs) emit("event", event(job, 2, "completed"));
  await pass(1_000);
  assert.equal(commands.filter((command) => command.startsWith("leave")).length, 5);
  await pass(10_000);
  assert.deepEqual(commands.filter((command) => command.startsWith("leave")), jobs.map((job) => `leave job_${job}`));
  client.close();
});

test("the client stays in a room that another or a new tracker needs", async () => {
  const { client, tracker, commands, emit } = await connected((client) => client.track("a"));
  const other = client.track("a");
  await settle();
  emit("resumed", "a", [event("a", 1)]);
  tracker.close();
  await pass(1_000);
  other.close();
  client.track("a");
  await pass(1_000);
  assert.ok(!commands.includes("leave job_a"), commands);
  emit("resumed", "a", [event("a", 1), event("a", 2, "failed")]);
  client.track("b").close();
  await pass(1_000);
  assert.deepEqual(commands.filter((command) => command.startsWith("leave")).sort(), ["leave job_a", "leave job_b"]);
  client.close();
});

test("the tracker of a user leaves the room of a job after catching up", async () => {
  const { client, commands, emit } = await connected((client) => client.trackUser("7", { history: true }));
  emit("event", event("a", 3));
  assert.ok(commands.includes("catchUp a"));
  emit("resumed", "a", [event("a", 1), event("a", 2), event("a", 3)]);
  await pass(1_000);
  assert.deepEqual(commands.filter((command) => command.startsWith("leave")), ["leave job_a"]);
  client.close();
});

test("a job above the limit is reported once, and repeated only after a room was left", async () => {
  const { client, tracker, commands, emit } = await connected((client) => client.track(["a", "b", "c"]));
  const errors = [];
  tracker.onError((error, jobId) => errors.push(`${jobId} ${error.code}`));
  const follows = (job) => commands.filter((command) => command === `follow ${job}`).length;
  for (const job of ["a", "b"]) emit("resumed", job, [event(job, 1)]);
  emit("refused", { jobId: "c" }, tooMany());
  await pass(600_000);
  assert.equal(follows("c"), 1, "no room was left meanwhile");
  assert.equal(tracker.job("c").error.code, "too_many_rooms");
  emit("event", event("a", 2, "completed"));
  await pass(600_000);
  assert.equal(follows("c"), 2);
  emit("refused", { jobId: "c" }, tooMany());
  assert.deepEqual(errors, ["c too_many_rooms"], "once");
  emit("event", event("b", 2, "completed"));
  await pass(600_000);
  assert.equal(follows("c"), 3);
  emit("resumed", "c", [event("c", 1)]);
  assert.equal(tracker.job("c").error, null);
  let done = false;
  void tracker.done.then(() => { done = true; });
  await settle();
  assert.ok(!done, "c has not ended");
  emit("event", event("c", 2, "failed"));
  await settle();
  assert.ok(done);
  client.close();
});

test("each refused job is repeated when as many rooms were left at once", async () => {
  const { client, commands, emit } = await connected((client) => client.track(["a", "b", "c", "d"]));
  const other = client.track("e");
  await settle();
  for (const job of ["a", "b"]) emit("resumed", job, [event(job, 1)]);
  for (const job of ["c", "d", "e"]) emit("refused", { jobId: job }, tooMany());
  const before = commands.length;
  for (const job of ["a", "b"]) emit("event", event(job, 2, "completed"));
  await pass(600_000);
  const follows = commands.slice(before).filter((command) => command.startsWith("follow"));
  assert.equal(follows.length, 2);
  assert.equal(new Set(follows).size, 2, `the gateway has not answered the first one yet: ${follows}`);
  other.close();
  client.close();
});

test("a job that is refused after rooms were left is repeated once", async () => {
  const { client, commands, emit } = await connected((client) => client.track(["a", "b", "c", "d"]));
  for (const job of ["a", "c", "d"]) emit("event", event(job, 1, "completed"));
  await pass(10_000);
  assert.ok(commands.includes("leave job_d"));
  emit("refused", { jobId: "b" }, tooMany()); // the gateway refused it before it received the command to leave
  for (let round = 0; round < 5; round += 1) {
    await pass(10_000);
    emit("refused", { jobId: "b" }, tooMany());
  }
  assert.equal(commands.filter((command) => command === "follow b").length, 2);
  client.close();
});

test("a room above the limit is joined again on the next connection", async () => {
  const { client, tracker, commands, emit, cut } = await connected((client) => client.trackUser("7"));
  emit("refused", { room: "user_7" }, tooMany());
  assert.equal(tracker.snapshot.error.code, "too_many_rooms");
  await pass(600_000);
  assert.deepEqual(commands, ["join user_7"]);
  cut();
  await settle();
  assert.deepEqual(commands, ["join user_7", "close undefined", "join user_7"]);
  emit("joined", "user_7");
  assert.equal(tracker.snapshot.error, null);
  client.close();
});

test("polling ends after three refusals because of a limit, also with Retry-After", async () => {
  const ended = [];
  let requests = 0;
  const request = async (_, path) => {
    if (path.includes("limit=1")) return { jobs: [] };
    requests += 1;
    throw new CTOError("too_many_requests", "too many requests in progress", { status: 429, retryAfterMs: 1_000 });
  };
  const { signal } = new AbortController();
  const session = await polling.open({ rest: { request }, emit: () => {}, onClosed: ({ code }) => ended.push(code), signal });
  session.follow("j", 0);
  for (let s = 0; s < 600; s += 1) await pass(1_000);
  assert.deepEqual([ended, requests], [["too_many_requests"], 3]);
});

test("polling requests missed events again after a failure, until there is a response", async () => {
  const failures = [new CTOError("unreachable", "reset"), new CTOError("going_away", "stopping", { status: 503, retryAfterMs: 1_000 })];
  const request = async (_, path) => {
    if (path.includes("/events") && failures.length) throw failures.shift();
    return { jobs: [], events: [event("j", 1)] };
  };
  const { signal } = new AbortController();
  const received = [];
  const session = await polling.open({ rest: { request }, emit: (...message) => received.push(message), onClosed: assert.fail, signal });
  session.catchUp("j", 0);
  for (let s = 0; s < 10; s += 1) await pass(1_000);
  assert.deepEqual(received.map(([name, jobId]) => [name, jobId]), [["resumed", "j"]]);
  session.close();
});
