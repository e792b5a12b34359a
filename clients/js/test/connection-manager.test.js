// The connection manager, with scripted transports and a mocked clock.
import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { ConnectionManager } from "../src/connection-manager.js";
import { CTOError } from "../src/errors.js";
import { Token } from "../src/token.js";

beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_800_000_000_000 }));
afterEach(() => mock.timers.reset());

/** Run all pending callbacks except timers. */
const settle = () => new Promise((resolve) => { setImmediate(resolve); });
const pass = async (ms) => {
  mock.timers.tick(ms);
  await settle();
};

/** A transport that opens while `works` is true, never while it is "never", and otherwise fails with `error`. */
function transport(name) {
  const scripted = {
    name, works: true, error: new CTOError("unreachable", "fails as scripted"), opened: 0, closed: 0, tokens: [],
    open: async (context) => {
      scripted.tokens.push(context.token);
      if (scripted.works === "never") return new Promise(() => {});
      if (!scripted.works) throw scripted.error;
      scripted.opened += 1;
      scripted.context = context;
      return { close: () => { scripted.closed += 1; } };
    },
  };
  return scripted;
}

/** Create a manager, and collect its messages and states. */
function manage(transports, token = undefined) {
  const messages = [];
  const rest = { url: "http://gateway", token: new Token(token, () => {}) };
  const manager = new ConnectionManager(transports, rest, (...message) => messages.push(message));
  const states = () => messages.filter(([name]) => name === "connection").map(([, { state, via }]) => via ?? state);
  return { manager, messages, states, state: () => states().at(-1) };
}

test("the manager uses the best transport that works, and tries better ones later", async () => {
  const [first, second, third] = [transport("first"), transport("second"), transport("third")];
  first.works = second.works = false;
  const { manager, states, messages } = manage([first, second, third]);
  await settle();
  assert.deepEqual(states(), ["connecting", "third"]);
  second.works = true;
  await pass(30_000);
  assert.equal(states().at(-1), "second");
  assert.equal(third.closed, 1);
  first.works = true;
  await pass(29_999);
  assert.equal(states().at(-1), "second");
  await pass(1);
  assert.equal(states().at(-1), "first");
  assert.equal(second.closed, 1);
  await pass(3_600_000);
  assert.deepEqual([first.opened, second.opened, third.opened], [1, 1, 1], "there is no transport better than the first");
  assert.equal(messages.filter(([name]) => name === "opened").length, 3, "the user repeats its commands each time");
  manager.close();
});

test("the interval between upgrades grows to five minutes", async () => {
  const [first, second] = [transport("first"), transport("second")];
  first.works = false;
  const { manager } = manage([first, second]);
  await settle();
  const tries = [];
  for (let s = 0; s < 3_600; s += 1) {
    const before = first.tokens.length;
    await pass(1_000);
    if (first.tokens.length > before) tries.push(s + 1);
  }
  assert.deepEqual(tries.slice(0, 6), [30, 90, 210, 450, 750, 1_050]);
  manager.close();
});

test("a gateway that does not answer is reported before the other transports are tried", async () => {
  const [first, second] = [transport("first"), transport("second")];
  first.works = "never";
  const { manager, states, messages } = manage([first, second]);
  await settle();
  await pass(4_999);
  assert.deepEqual(states(), ["connecting"]);
  await pass(1);
  assert.deepEqual(states(), ["connecting", "waiting", "second"]);
  assert.equal(messages[1][1].error.code, "unreachable");
  await pass(600_000);
  assert.deepEqual(states(), ["connecting", "waiting", "second"], "a better transport that does not answer is no news");
  assert.ok(first.tokens.length > 1);
  manager.close();
});

test("a lost connection is reopened at once with the same transport", async () => {
  const [first, second] = [transport("first"), transport("second")];
  const { manager, states } = manage([first, second]);
  await settle();
  await pass(60_000);
  first.context.onClosed(new CTOError("unreachable", "cut"));
  await settle();
  assert.deepEqual(states(), ["connecting", "first", "connecting", "first"]);
  manager.close();
});

test("reconnect replaces the connection with one of the same transport", async () => {
  const [first, second] = [transport("first"), transport("second")];
  const { manager, states, messages } = manage([first, second]);
  await settle();
  manager.reconnect();
  await settle();
  assert.deepEqual([first.opened, first.closed, second.opened], [2, 1, 0]);
  assert.equal(states().at(-1), "first");
  assert.equal(messages.filter(([name]) => name === "opened").length, 2);
  manager.close();
});

test("a transport with a brief connection counts as failed", async () => {
  const [first, second] = [transport("first"), transport("second")];
  const { manager, state } = manage([first, second]);
  await settle();
  await pass(2_000);
  first.context.onClosed(new CTOError("unreachable", "cut"));
  await settle();
  assert.equal(state(), "second");
  manager.close();
});

test("brief connections of every transport lead to a pause", async () => {
  const [first, second] = [transport("first"), transport("second")];
  const { manager, state } = manage([first, second]);
  for (let round = 0; round < 50; round += 1) {
    await settle();
    for (const { context } of [first, second]) context?.onClosed(new CTOError("unreachable", "cut"));
  }
  await settle();
  assert.equal(state(), "waiting");
  assert.ok(first.opened + second.opened <= 4, `${first.opened + second.opened} connections without a pause`);
  manager.close();
});

test("without a working transport the manager retries every 15 s, and at once on reconnect", async () => {
  const [first, second] = [transport("first"), transport("second")];
  first.works = second.works = false;
  const { manager, state } = manage([first, second]);
  await settle();
  assert.equal(state(), "waiting");
  const tries = [];
  for (let s = 0; s < 600; s += 1) {
    const before = first.tokens.length;
    await pass(1_000);
    if (first.tokens.length > before) tries.push(s);
  }
  const waits = tries.slice(1).map((s, index) => s - tries[index]);
  assert.ok(Math.max(...waits) <= 16 && Math.max(...waits) >= 7, waits.join());
  first.works = true;
  manager.reconnect();
  await settle();
  assert.equal(state(), "first");
  manager.close();
});

test("opening a transport times out after five seconds", async () => {
  const [first, second] = [transport("first"), transport("second")];
  first.works = "never";
  const { manager, state } = manage([first, second]);
  await settle();
  await pass(4_999);
  assert.equal(state(), "connecting");
  await pass(1);
  assert.equal(state(), "second");
  manager.close();
});

test("a refusal is not retried before reconnect", async () => {
  const first = transport("first");
  first.works = false;
  first.error = new CTOError("invalid_token", "wrong key");
  const { manager, messages, state } = manage([first, transport("second")], "token");
  await settle();
  assert.equal(state(), "refused");
  assert.equal(messages.at(-1)[1].error.code, "invalid_token");
  await pass(3_600_000);
  assert.equal(first.tokens.length, 1);
  first.works = true;
  manager.reconnect();
  await settle();
  assert.equal(state(), "first");
  manager.close();
});

test("a limit of the gateway is retried for about a minute, and then refused", async () => {
  const transports = [transport("first"), transport("second")];
  for (const limited of transports) {
    limited.works = false;
    limited.error = new CTOError("too_many_connections", "the user has too many");
  }
  const { manager, messages, states, state } = manage(transports);
  await settle();
  assert.equal(state(), "waiting", "other connections of the user may close");
  assert.equal(messages.at(-1)[1].error.code, "too_many_connections");
  let passedS = 0;
  for (; state() !== "refused" && passedS < 600; passedS += 1) await pass(1_000);
  assert.ok(passedS >= 30 && passedS <= 120, `${passedS} s`);
  assert.equal(messages.at(-1)[1].error.code, "too_many_connections");
  const tries = transports[0].tokens.length;
  await pass(3_600_000);
  assert.equal(transports[0].tokens.length, tries);
  transports[0].works = true;
  manager.reconnect();
  await settle();
  assert.equal(states().at(-1), "first");
  manager.close();
});

test("limits are not counted while a transport works", async () => {
  const [first, second, third] = [transport("first"), transport("second"), transport("third")];
  first.works = false;
  first.error = new CTOError("too_many_connections", "the user has too many");
  const { manager, states, state } = manage([first, second, third]);
  for (let s = 0; s < 3 * 3_600; s += 1) {
    await pass(1_000);
    if (state() === "second") second.context.onClosed(first.error); // it opens, but it has the same limit
  }
  await settle();
  assert.equal(state(), "third");
  assert.ok(second.opened > 20, `${second.opened} upgrades`);
  assert.ok(!states().includes("refused") && !states().includes("waiting"), states().join());
  manager.close();
});

test("a limit is refused only if every transport reaches one", async () => {
  const [first, second] = [transport("first"), transport("second")];
  first.works = second.works = false;
  first.error = new CTOError("too_many_connections", "the user has too many");
  const { manager, states, state } = manage([first, second]);
  await settle();
  for (let s = 0; s < 3_600; s += 1) await pass(1_000);
  assert.equal(state(), "waiting", "the second transport may work later");
  assert.ok(!states().includes("refused"));
  second.error = first.error;
  for (let s = 0; s < 160; s += 1) await pass(1_000);
  assert.equal(state(), "refused");
  manager.close();
});

test("after a connection that lasted, the manager retries quickly again", async () => {
  const first = transport("first");
  first.works = false;
  const { manager, state } = manage([first]);
  await settle();
  for (let s = 0; s < 120; s += 1) await pass(1_000);
  first.works = true;
  for (let s = 0; s < 20; s += 1) await pass(1_000);
  assert.equal(state(), "first");
  first.context.onClosed(new CTOError("too_many_messages", "twenty a second"));
  await settle();
  assert.equal(state(), "waiting");
  await pass(500);
  assert.equal(state(), "first");
  manager.close();
});

test("after too many messages the manager changes the transport", async () => {
  const [first, second] = [transport("first"), transport("second")];
  const { manager, state } = manage([first, second]);
  await settle();
  await pass(10_000);
  first.context.onClosed(new CTOError("too_many_messages", "twenty a second"));
  await settle();
  assert.equal(state(), "second", "it may have another limit");
  assert.equal(first.opened, 1);
  manager.close();
});

test("an expired token is renewed once, if the token is a function", async () => {
  const first = transport("first");
  let count = 0;
  const { manager, state } = manage([first], async () => `token-${(count += 1)}`);
  await settle();
  await pass(60_000);
  first.context.onClosed(new CTOError("token_expired", "over"));
  await settle();
  assert.equal(state(), "first");
  assert.deepEqual(first.tokens, ["token-1", "token-2"]);
  first.context.onClosed(new CTOError("token_revoked", "cut off"));
  await settle();
  assert.equal(state(), "refused", "the new token was rejected, too");
  manager.close();
});

test("a failed token function is called again", async () => {
  const first = transport("first");
  let works = false;
  const { manager, messages, state } = manage([first], async () => {
    if (!works) throw new Error("the login is down");
    return "token";
  });
  await settle();
  assert.equal(state(), "waiting");
  assert.match(messages.at(-1)[1].error.message, /the login is down/);
  works = true;
  await pass(1_000);
  assert.equal(state(), "first");
  manager.close();
});

test("a closed manager opens nothing and emits nothing", async () => {
  const first = transport("first");
  const { manager, messages } = manage([first]);
  manager.close();
  await settle();
  const count = messages.length;
  await pass(3_600_000);
  assert.equal(messages.length, count);
  assert.equal(first.opened, first.closed, "a connection that was opening has been closed");
});

test("messages of a replaced connection are ignored", async () => {
  const first = transport("first");
  const { manager, messages } = manage([first]);
  await settle();
  const old = first.context;
  await pass(60_000);
  old.onClosed(new CTOError("unreachable", "cut"));
  await settle();
  const count = messages.length;
  old.emit("event", { jobId: "j", seq: 1 });
  assert.equal(messages.length, count);
  first.context.emit("event", { jobId: "j", seq: 1 });
  assert.equal(messages.length, count + 1);
  manager.close();
});
