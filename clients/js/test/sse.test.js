// The SSE transport in a connection manager, with a scripted gateway that limits streams, and a mocked clock.
import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { ConnectionManager } from "../src/connection-manager.js";
import { CTOError } from "../src/errors.js";
import { Token } from "../src/token.js";
import * as polling from "../src/transports/polling.js";
import * as sse from "../src/transports/sse.js";

beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_800_000_000_000 }));
afterEach(() => mock.timers.reset());

const settle = async () => {
  for (let round = 0; round < 8; round += 1) await new Promise((resolve) => { setImmediate(resolve); });
};
const event = (jobId, seq) => ({ jobId, seq, status: "in_progress", userId: "7", timestamp: Date.now() });

/** A gateway that accepts `limit` streams. The job `unknown` does not exist. Every other request succeeds. */
function scriptedGateway(limit) {
  const gateway = {
    limit, unknown: "", url: "http://gateway", token: new Token(undefined, () => {}),
    streams: new Map(), // the open ones, by job
    requested: [], // the job of each request for a stream
    polled: [], // the path of each other request
    request: async (_, path) => {
      gateway.polled.push(path);
      return { jobs: [], events: [] };
    },
    fetch: async (_, path, { signal }) => {
      const [, jobId] = /^[/]api[/]cto[/]job[/](.*)[/]stream/.exec(path);
      gateway.requested.push(jobId);
      if (jobId === gateway.unknown) throw new CTOError("job_not_found", jobId, { status: 404 });
      if (gateway.streams.size >= gateway.limit) throw new CTOError("too_many_connections", "the user has too many", { status: 429 });
      let controller;
      const body = new ReadableStream({ start: (started) => { controller = started; } });
      gateway.streams.set(jobId, (text) => controller.enqueue(new TextEncoder().encode(text)));
      signal.addEventListener("abort", () => {
        gateway.streams.delete(jobId);
        controller.error(signal.reason);
      });
      return new Response(body);
    },
    send: (data) => gateway.streams.get(data.jobId)(`event: worker_progress\ndata: ${JSON.stringify(data)}\n\n`),
    /** Pass this time. Streams stay alive. */
    pass: async (ms) => {
      for (let passedMs = 0; passedMs < ms; passedMs += 1_000) {
        for (const write of gateway.streams.values()) write(": alive\n\n");
        mock.timers.tick(1_000);
        await settle();
      }
    },
  };
  return gateway;
}

/** Connect over SSE or polling. Like a client, repeat the commands for the jobs after each opening. */
async function follow(gateway, jobIds) {
  const messages = [];
  const manager = new ConnectionManager([{ name: "sse", ...sse }, { name: "polling", ...polling }], gateway, (...message) => {
    messages.push(message);
    if (message[0] === "opened") setImmediate(() => jobIds.forEach((jobId) => manager.send("follow", jobId, 0)));
  });
  await settle();
  await gateway.pass(2_000);
  return {
    manager,
    states: () => messages.filter(([name]) => name === "connection").map(([, { state, via }]) => via ?? state),
    seen: () => messages.filter(([name]) => name === "event").map(([, { jobId, seq }]) => `${jobId} ${seq}`),
    refused: () => messages.filter(([name]) => name === "refused").map(([, { jobId }]) => jobId),
  };
}

test("polling is not interrupted by upgrades while the gateway accepts no stream", async () => {
  const gateway = scriptedGateway(0);
  const { manager, states } = await follow(gateway, ["a"]);
  assert.equal(states().at(-1), "polling");
  const before = states().length;
  await gateway.pass(7_200_000);
  assert.deepEqual(states().slice(before), []);
  assert.ok(gateway.requested.length > 20, `${gateway.requested.length} upgrades`);
  gateway.limit = 1;
  await gateway.pass(300_000);
  assert.deepEqual(states().slice(before), ["sse"]);
  manager.close();
});

test("an upgrade keeps its first stream, and delivers the events of it", async () => {
  const gateway = scriptedGateway(0);
  const { manager, states, seen } = await follow(gateway, ["a"]);
  gateway.limit = 1;
  const before = gateway.requested.length;
  await gateway.pass(60_000);
  assert.equal(states().at(-1), "sse");
  assert.deepEqual(gateway.requested.slice(before), ["a"], "a second request would reach the limit");
  gateway.send(event("a", 1));
  await settle();
  assert.deepEqual(seen(), ["a 1"]);
  manager.close();
});

test("a stream of an upgrade is closed if its job is not followed any more", async () => {
  const gateway = scriptedGateway(0);
  const jobIds = ["a", "b"];
  const { manager, states } = await follow(gateway, jobIds);
  jobIds.shift();
  gateway.limit = 2;
  await gateway.pass(60_000);
  assert.equal(states().at(-1), "sse");
  assert.deepEqual([...gateway.streams.keys()], ["b"]);
  manager.close();
});

test("an upgrade succeeds although a job is unknown", async () => {
  const gateway = scriptedGateway(0);
  const { manager, states, refused } = await follow(gateway, ["a"]);
  gateway.unknown = "a";
  await gateway.pass(60_000);
  assert.equal(states().at(-1), "sse");
  assert.deepEqual(refused(), ["a"]);
  manager.close();
});

test("a job above the limit of streams is polled, and the others keep their streams", async () => {
  const gateway = scriptedGateway(1);
  const { manager, states } = await follow(gateway, ["a", "b"]);
  await gateway.pass(60_000);
  assert.deepEqual(states(), ["connecting", "sse"]);
  assert.deepEqual([...gateway.streams.keys()], ["a"]);
  assert.ok(gateway.polled.some((path) => path.includes("/job/b/events")));
  assert.ok(!gateway.polled.some((path) => path.includes("/job/a/events")));
  manager.close();
});

test("an id from an address cannot select another path", async () => {
  const gateway = scriptedGateway(1);
  const { manager } = await follow(gateway, ["../../auth?x", "../audit"]);
  await gateway.pass(10_000);
  assert.deepEqual(gateway.requested, ["..%2F..%2Fauth%3Fx", "..%2Faudit"]);
  assert.ok(gateway.polled.includes("/api/cto/job/..%2Faudit/events?after=0"), gateway.polled);
  manager.close();
});
