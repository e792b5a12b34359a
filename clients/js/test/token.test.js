// Tokens: renewed before they expire, requested once, and their claims read without verification.
import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { Token, claimsOf } from "../src/token.js";

const NOW_MS = 1_800_000_000_000;
const settle = () => new Promise((resolve) => { setImmediate(resolve); });
const token = (claims) => `x.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.x`;

beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "Date"], now: NOW_MS }));
afterEach(() => mock.timers.reset());

test("claims are read, and are empty for a text that is not a token", () => {
  assert.deepEqual(claimsOf(token({ sub: "7", exp: 1, note: "???>>>" })), { sub: "7", exp: 1, note: "???>>>" });
  for (const text of [undefined, "", "opaque", "a.b.c", "..."]) assert.deepEqual(claimsOf(text), {}, text);
});

test("a token is renewed a minute before it expires, and the listener is notified", async () => {
  const renewed = [];
  let count = 0;
  const current = new Token(async () => token({ n: (count += 1), exp: Date.now() / 1000 + 600 }), (newToken) => renewed.push(claimsOf(newToken).n));
  assert.equal(claimsOf(await current.get()).n, 1);
  mock.timers.tick(539_000);
  await settle();
  assert.deepEqual(renewed, []);
  mock.timers.tick(1_000);
  await settle();
  assert.deepEqual(renewed, [2]);
  assert.equal(claimsOf(await current.get()).n, 2);
  current.close();
  mock.timers.tick(3_600_000);
  assert.equal(count, 2);
});

test("a short-lived token is renewed before it expires, too", async () => {
  let count = 0;
  const current = new Token(async () => token({ n: (count += 1), exp: Date.now() / 1000 + 10 }), () => {});
  await current.get();
  mock.timers.tick(8_000);
  await settle();
  assert.equal(count, 2);
  current.close();
});

test("concurrent calls get the same token", async () => {
  let count = 0;
  const current = new Token(async () => `token-${(count += 1)}`, () => {});
  assert.deepEqual(await Promise.all([current.get(), current.get(), current.renew()]), ["token-1", "token-1", "token-1"]);
});

test("a token that expired during a suspension is not used", async () => {
  let count = 0;
  const current = new Token(async () => token({ n: (count += 1), exp: Date.now() / 1000 + 60 }), () => {});
  await current.get();
  mock.timers.setTime(NOW_MS + 600_000);
  assert.ok(claimsOf(await current.get()).n >= 2);
  current.close();
});

test("a text that is no token is refused, with its first wrong character and without the text itself", async () => {
  const wrong = { "<!doctype html>": "<", "secret\n": "\n", "a b": " ", '"secret"': '"', "sécret": "é", "[object Promise]": "[" };
  for (const [text, character] of Object.entries(wrong)) {
    const message = `token contains ${JSON.stringify(character)}: pass one JSON Web Token, without quotes, spaces, line breaks or HTML`;
    assert.throws(() => new Token(text, () => {}), { code: "invalid_options", message }, text);
    await assert.rejects(new Token(() => text, () => {}).get(), { code: "token_unavailable", message: `the token function failed: ${message}` });
  }
  assert.throws(() => new Token(Promise.resolve("secret"), () => {}), { code: "invalid_options" });
  for (const text of ["", "opaque", "a-b_c.d~e+f/g==", token({ sub: "7" })]) assert.equal(await new Token(text, () => {}).get(), text);
});

test("without a source there is no token, and a fixed token is not renewed", async () => {
  assert.equal(await new Token(undefined, () => {}).get(), undefined);
  const fixed = new Token("fixed", () => {});
  assert.equal(await fixed.get(), "fixed");
  assert.equal(fixed.renewable, false);
});
