// Tokens: replaced in time, asked for once, and read only for what they say of themselves.
import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { Token, claimsOf } from "../src/token.js";

const NOW_MS = 1_800_000_000_000;
const settle = () => new Promise((resolve) => { setImmediate(resolve); });
const token = (claims) => `x.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.x`;

beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "Date"], now: NOW_MS }));
afterEach(() => mock.timers.reset());

test("claims are read, and what is no token has none", () => {
  assert.deepEqual(claimsOf(token({ sub: "7", exp: 1, note: "???>>>" })), { sub: "7", exp: 1, note: "???>>>" });
  for (const text of [undefined, "", "opaque", "a.b.c", "..."]) assert.deepEqual(claimsOf(text), {}, text);
});

test("a token is replaced a minute before it ends, and who uses it is told", async () => {
  const renewed = [];
  let count = 0;
  const kept = new Token(async () => token({ n: (count += 1), exp: Date.now() / 1000 + 600 }), (newer) => renewed.push(claimsOf(newer).n));
  assert.equal(claimsOf(await kept.get()).n, 1);
  mock.timers.tick(539_000);
  await settle();
  assert.deepEqual(renewed, []);
  mock.timers.tick(1_000);
  await settle();
  assert.deepEqual(renewed, [2]);
  assert.equal(claimsOf(await kept.get()).n, 2);
  kept.close();
  mock.timers.tick(3_600_000);
  assert.equal(count, 2);
});

test("a short token is replaced before it ends, too", async () => {
  let count = 0;
  const kept = new Token(async () => token({ n: (count += 1), exp: Date.now() / 1000 + 10 }), () => {});
  await kept.get();
  mock.timers.tick(8_000);
  await settle();
  assert.equal(count, 2);
  kept.close();
});

test("those who ask at once get the same token", async () => {
  let count = 0;
  const kept = new Token(async () => `token ${(count += 1)}`, () => {});
  assert.deepEqual(await Promise.all([kept.get(), kept.get(), kept.renew()]), ["token 1", "token 1", "token 1"]);
});

test("after a sleep the token that has ended meanwhile is not shown", async () => {
  let count = 0;
  const kept = new Token(async () => token({ n: (count += 1), exp: Date.now() / 1000 + 60 }), () => {});
  await kept.get();
  mock.timers.setTime(NOW_MS + 600_000);
  assert.ok(claimsOf(await kept.get()).n >= 2);
  kept.close();
});

test("what has no token has none, and a fixed one stays", async () => {
  assert.equal(await new Token(undefined, () => {}).get(), undefined);
  const fixed = new Token("fixed", () => {});
  assert.equal(await fixed.get(), "fixed");
  assert.equal(fixed.renewable, false);
});
