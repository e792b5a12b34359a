// The manager, on transports that do as they are told and a clock that does not run by itself.
import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { CTOError } from "../src/errors.js";
import { ConnectionManager } from "../src/connection-manager.js";
import { Token } from "../src/token.js";

beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_800_000_000_000 }));
afterEach(() => mock.timers.reset());

/** Let everything run that waits for no time. */
const settle = () => new Promise((resolve) => { setImmediate(resolve); });
const pass = async (ms) => {
  mock.timers.tick(ms);
  await settle();
};

/** A transport that opens while it `works`, and else fails with its `error`. */
function transport(name) {
  const made = {
    name, works: true, error: new CTOError("unreachable", "told to"), opened: 0, closed: 0, tokens: [],
    open: async (opening) => {
      made.tokens.push(opening.token);
      if (made.works === "never") return new Promise(() => {});
      if (!made.works) throw made.error;
      made.opened += 1;
      made.opening = opening;
      return { asked: [], follow: (...about) => made.asked?.push(about), close: () => { made.closed += 1; } };
    },
  };
  return made;
}

/** A manager, and what it tells. */
function manage(transports, token = undefined) {
  const told = [];
  const rest = { url: "http://gateway", token: new Token(token, () => {}) };
  const manager = new ConnectionManager(transports, rest, (...what) => told.push(what));
  const states = () => told.filter(([what]) => what === "connection").map(([, { state, via }]) => via ?? state);
  return { manager, told, states, state: () => states().at(-1) };
}

test("the best transport that works is used, and the better ones are tried again", async () => {
  const [one, two, three] = [transport("one"), transport("two"), transport("three")];
  one.works = two.works = false;
  const { manager, states, told } = manage([one, two, three]);
  await settle();
  assert.deepEqual(states(), ["connecting", "three"]);
  two.works = true;
  await pass(30_000);
  assert.equal(states().at(-1), "two");
  assert.equal(three.closed, 1);
  one.works = true;
  await pass(29_999);
  assert.equal(states().at(-1), "two");
  await pass(1);
  assert.equal(states().at(-1), "one");
  assert.equal(two.closed, 1);
  await pass(3_600_000);
  assert.deepEqual([one.opened, two.opened, three.opened], [1, 1, 1], "at the top there is nothing to try");
  assert.equal(told.filter(([what]) => what === "opened").length, 3, "whoever uses it asks anew each time");
  manager.close();
});

test("better transports are tried ever more rarely", async () => {
  const [one, two] = [transport("one"), transport("two")];
  one.works = false;
  const { manager } = manage([one, two]);
  await settle();
  const tries = [];
  for (let s = 0; s < 3_600; s += 1) {
    const before = one.tokens.length;
    await pass(1_000);
    if (one.tokens.length > before) tries.push(s + 1);
  }
  assert.deepEqual(tries.slice(0, 6), [30, 90, 210, 450, 750, 1_050]);
  manager.close();
});

test("a connection that is lost is opened again by the same transport at once", async () => {
  const [one, two] = [transport("one"), transport("two")];
  const { manager, states } = manage([one, two]);
  await settle();
  await pass(60_000);
  one.opening.closed(new CTOError("unreachable", "cut"));
  await settle();
  assert.deepEqual(states(), ["connecting", "one", "connecting", "one"]);
  manager.close();
});

test("asked to, it opens another connection by the same transport in place of one that may be dead", async () => {
  const [one, two] = [transport("one"), transport("two")];
  const { manager, states, told } = manage([one, two]);
  await settle();
  manager.reconnect();
  await settle();
  assert.deepEqual([one.opened, one.closed, two.opened], [2, 1, 0]);
  assert.equal(states().at(-1), "one");
  assert.equal(told.filter(([what]) => what === "opened").length, 2);
  manager.close();
});

test("a transport whose connections do not last is left", async () => {
  const [one, two] = [transport("one"), transport("two")];
  const { manager, state } = manage([one, two]);
  await settle();
  await pass(2_000);
  one.opening.closed(new CTOError("unreachable", "cut"));
  await settle();
  assert.equal(state(), "two");
  manager.close();
});

test("when no connection lasts it is not tried without rest", async () => {
  const [one, two] = [transport("one"), transport("two")];
  const { manager, state } = manage([one, two]);
  for (let turn = 0; turn < 50; turn += 1) {
    await settle();
    for (const each of [one, two]) each.opening?.closed(new CTOError("unreachable", "cut"));
  }
  await settle();
  assert.equal(state(), "waiting");
  assert.ok(one.opened + two.opened <= 4, `${one.opened + two.opened} times without a pause`);
  manager.close();
});

test("when nothing works it is tried again, at most every 15 s, and at once when asked to", async () => {
  const [one, two] = [transport("one"), transport("two")];
  one.works = two.works = false;
  const { manager, state } = manage([one, two]);
  await settle();
  assert.equal(state(), "waiting");
  const tries = [];
  for (let s = 0; s < 600; s += 1) {
    const before = one.tokens.length;
    await pass(1_000);
    if (one.tokens.length > before) tries.push(s);
  }
  const waits = tries.slice(1).map((s, at) => s - tries[at]);
  assert.ok(Math.max(...waits) <= 16 && Math.max(...waits) >= 7, waits.join());
  one.works = true;
  manager.reconnect();
  await settle();
  assert.equal(state(), "one");
  manager.close();
});

test("a transport that does not answer is given up after five seconds", async () => {
  const [one, two] = [transport("one"), transport("two")];
  one.works = "never";
  const { manager, state } = manage([one, two]);
  await settle();
  await pass(4_999);
  assert.equal(state(), "connecting");
  await pass(1);
  assert.equal(state(), "two");
  manager.close();
});

test("what is refused is not tried again by itself", async () => {
  const one = transport("one");
  one.works = false;
  one.error = new CTOError("invalid_token", "wrong key");
  const { manager, told, state } = manage([one, transport("two")], "token");
  await settle();
  assert.equal(state(), "refused");
  assert.equal(told.at(-1)[1].error.code, "invalid_token");
  await pass(3_600_000);
  assert.equal(one.tokens.length, 1);
  one.works = true;
  manager.reconnect();
  await settle();
  assert.equal(state(), "one");
  manager.close();
});

test("a limit of the gateway is tried for about a minute, and then left to the application", async () => {
  const transports = [transport("one"), transport("two")];
  for (const each of transports) {
    each.works = false;
    each.error = new CTOError("too_many_connections", "the user has too many");
  }
  const { manager, told, states, state } = manage(transports);
  await settle();
  assert.equal(state(), "waiting", "others may close theirs");
  assert.equal(told.at(-1)[1].error.code, "too_many_connections");
  let passedS = 0;
  for (; state() !== "refused" && passedS < 600; passedS += 1) await pass(1_000);
  assert.ok(passedS >= 30 && passedS <= 120, `${passedS} s`);
  assert.equal(told.at(-1)[1].error.code, "too_many_connections");
  const tries = transports[0].tokens.length;
  await pass(3_600_000);
  assert.equal(transports[0].tokens.length, tries);
  transports[0].works = true;
  manager.reconnect();
  await settle();
  assert.equal(states().at(-1), "one");
  manager.close();
});

test("a connection that is cut off for saying too much is not opened again at once", async () => {
  const [one, two] = [transport("one"), transport("two")];
  const { manager, state } = manage([one, two]);
  await settle();
  await pass(10_000);
  one.opening.closed(new CTOError("too_many_messages", "twenty a second"));
  await settle();
  assert.equal(state(), "two", "which may have another limit");
  assert.equal(one.opened, 1);
  manager.close();
});

test("a token that has ended is replaced, once, when there is somebody to ask", async () => {
  const one = transport("one");
  let count = 0;
  const { manager, state } = manage([one], async () => `token ${(count += 1)}`);
  await settle();
  await pass(60_000);
  one.opening.closed(new CTOError("token_expired", "over"));
  await settle();
  assert.equal(state(), "one");
  assert.deepEqual(one.tokens, ["token 1", "token 2"]);
  one.opening.closed(new CTOError("token_revoked", "cut off"));
  await settle();
  assert.equal(state(), "refused", "the newest is no good either");
  manager.close();
});

test("a token that cannot be had is asked for again", async () => {
  const one = transport("one");
  let works = false;
  const { manager, told, state } = manage([one], async () => {
    if (!works) throw new Error("the login is down");
    return "token";
  });
  await settle();
  assert.equal(state(), "waiting");
  assert.match(told.at(-1)[1].error.message, /the login is down/);
  works = true;
  await pass(1_000);
  assert.equal(state(), "one");
  manager.close();
});

test("after it is closed nothing is opened or told any more", async () => {
  const one = transport("one");
  const { manager, told } = manage([one]);
  manager.close();
  await settle();
  const count = told.length;
  await pass(3_600_000);
  assert.equal(told.length, count);
  assert.equal(one.opened, one.closed, "what was on its way has been closed");
});

test("what an old connection still tells is not passed on", async () => {
  const one = transport("one");
  const { manager, told } = manage([one]);
  await settle();
  const old = one.opening;
  await pass(60_000);
  old.closed(new CTOError("unreachable", "cut"));
  await settle();
  const count = told.length;
  old.tell("event", { jobId: "j", seq: 1 });
  assert.equal(told.length, count);
  one.opening.tell("event", { jobId: "j", seq: 1 });
  assert.equal(told.length, count + 1);
  manager.close();
});
