// The client between its trackers and a connection that does as it is told: addresses, rooms, and limits.
import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { connect } from "../src/client.js";
import { CTOError } from "../src/errors.js";
import * as polling from "../src/transports/polling.js";

beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 1_800_000_000_000 }));
afterEach(() => mock.timers.reset());

const settle = async () => {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => { setImmediate(resolve); });
};
const pass = async (ms) => {
  mock.timers.tick(ms);
  await settle();
};
const event = (jobId, seq, status = "in_progress") => ({ jobId, seq, status, userId: "7", timestamp: Date.now() });
const tooMany = () => new CTOError("too_many_rooms", "this connection is in too many rooms");

/** A client, what it asks of its connection, and a way to tell it what comes over that. */
async function connected(track) {
  const asked = [];
  let opening;
  const verbs = ["join", "leave", "follow", "catchUp", "refresh", "close"];
  const open = async (given) => {
    opening = given;
    return Object.fromEntries(verbs.map((verb) => [verb, (about) => asked.push(`${verb} ${about}`)]));
  };
  const client = connect({ url: "http://gateway", transports: [{ name: "test", open }], storage: null });
  const tracker = track(client);
  await settle();
  return { client, tracker, asked, tell: (...told) => opening.tell(...told), cut: () => opening.closed(new CTOError("unreachable", "cut")) };
}

test("a gateway's address is one of HTTP or WebSocket", async () => {
  const asked = [];
  mock.method(globalThis, "fetch", async (address) => {
    asked.push(address);
    return Response.json({ success: true, data: {} });
  });
  for (const url of ["http://a", "ws://a:3000/", "wss://a.example", "https://a.example/sub//", new URL("http://[::1]:3000")]) {
    await connect({ url }).status("j");
  }
  const bases = ["http://a", "http://a:3000", "https://a.example", "https://a.example/sub", "http://[::1]:3000"];
  assert.deepEqual(asked, bases.map((base) => `${base}/api/cto/job/j/status`));
  mock.restoreAll();
});

test("any other address is refused at once", () => {
  for (const url of ["gateway.example:3000", "//gateway", "ftp://gateway", "http://", "http://a?b", "http://a b", "", "null", undefined]) {
    assert.throws(() => connect({ url }), (error) => error.code === "invalid_options" && error.message.includes(`"${url}"`), url);
  }
});

test("the rooms of jobs that have ended are left, a few a second", async () => {
  const jobs = [...Array(20).keys()].map(String);
  const { client, asked, tell } = await connected((client) => client.track(jobs));
  for (const job of jobs) tell("resumed", job, [event(job, 1)]);
  await pass(10_000);
  assert.deepEqual(asked.filter((what) => what.startsWith("leave")), [], "those that have not ended are followed on");
  for (const job of jobs) tell("event", event(job, 2, "completed"));
  await pass(1_000);
  assert.equal(asked.filter((what) => what.startsWith("leave")).length, 5);
  await pass(10_000);
  assert.deepEqual(asked.filter((what) => what.startsWith("leave")), jobs.map((job) => `leave job_${job}`));
  client.close();
});

test("a room stays while another tracker needs it, or one that came in time", async () => {
  const { client, tracker, asked, tell } = await connected((client) => client.track("a"));
  const other = client.track("a");
  await settle();
  tell("resumed", "a", [event("a", 1)]);
  tracker.close();
  await pass(1_000);
  other.close();
  client.track("a");
  await pass(1_000);
  assert.ok(!asked.includes("leave job_a"), asked);
  tell("resumed", "a", [event("a", 1), event("a", 2, "failed")]);
  client.track("b").close();
  await pass(1_000);
  assert.deepEqual(asked.filter((what) => what.startsWith("leave")).sort(), ["leave job_a", "leave job_b"]);
  client.close();
});

test("who follows a user leaves the room of a job once it has caught up with it", async () => {
  const { client, asked, tell } = await connected((client) => client.trackUser("7", { history: true }));
  tell("event", event("a", 3));
  assert.ok(asked.includes("catchUp a"));
  tell("resumed", "a", [event("a", 1), event("a", 2), event("a", 3)]);
  await pass(1_000);
  assert.deepEqual(asked.filter((what) => what.startsWith("leave")), ["leave job_a"]);
  client.close();
});

test("what is one too many is told, and asked for again only when a room is free", async () => {
  const { client, tracker, asked, tell } = await connected((client) => client.track(["a", "b", "c"]));
  const errors = [];
  tracker.onError((error, jobId) => errors.push(`${jobId} ${error.code}`));
  const follows = (job) => asked.filter((what) => what === `follow ${job}`).length;
  for (const job of ["a", "b"]) tell("resumed", job, [event(job, 1)]);
  tell("refused", { jobId: "c" }, tooMany());
  await pass(600_000);
  assert.equal(follows("c"), 1, "nothing is left meanwhile");
  assert.equal(tracker.job("c").error.code, "too_many_rooms");
  tell("event", event("a", 2, "completed"));
  await pass(600_000);
  assert.equal(follows("c"), 2);
  tell("refused", { jobId: "c" }, tooMany());
  assert.deepEqual(errors, ["c too_many_rooms"], "once");
  tell("event", event("b", 2, "completed"));
  await pass(600_000);
  assert.equal(follows("c"), 3);
  tell("resumed", "c", [event("c", 1)]);
  assert.equal(tracker.job("c").error, null);
  let done = false;
  void tracker.done.then(() => { done = true; });
  await settle();
  assert.ok(!done, "c goes on");
  tell("event", event("c", 2, "failed"));
  await settle();
  assert.ok(done);
  client.close();
});

test("a room that was one too many is asked for again by the next connection", async () => {
  const { client, tracker, asked, tell, cut } = await connected((client) => client.trackUser("7"));
  tell("refused", { room: "user_7" }, tooMany());
  assert.equal(tracker.snapshot.error.code, "too_many_rooms");
  await pass(600_000);
  assert.deepEqual(asked, ["join user_7"]);
  cut();
  await settle();
  assert.deepEqual(asked, ["join user_7", "close undefined", "join user_7"]);
  tell("joined", "user_7");
  assert.equal(tracker.snapshot.error, null);
  client.close();
});

test("polling ends where a limit is reached again and again, whatever the gateway says about when to ask", async () => {
  const ended = [];
  let asked = 0;
  const request = async (_, path) => {
    if (path.includes("limit=1")) return { jobs: [] };
    asked += 1;
    throw new CTOError("too_many_requests", "as many as may be are under way", { status: 429, retryAfterMs: 1_000 });
  };
  const { signal } = new AbortController();
  const session = await polling.open({ rest: { request }, tell: () => {}, closed: ({ code }) => ended.push(code), signal });
  session.follow("j", 0);
  for (let s = 0; s < 600; s += 1) await pass(1_000);
  assert.deepEqual([ended, asked], [["too_many_requests"], 3]);
});
