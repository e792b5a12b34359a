// The client of an app: after a suspension it opens a new connection.
import assert from "node:assert/strict";
import { test } from "node:test";
import { connectNative } from "../src/react-native.js";

const settle = () => new Promise((resolve) => { setImmediate(resolve); });

test("an app that becomes active reconnects, and removes its listener when the client closes", async () => {
  const listeners = new Set();
  const AppState = {
    addEventListener: (_, listener) => {
      listeners.add(listener);
      return { remove: () => listeners.delete(listener) };
    },
  };
  let opened = 0;
  let closed = 0;
  const transport = {
    name: "test",
    open: async () => {
      opened += 1;
      return { follow: () => {}, join: () => {}, leave: () => {}, catchUp: () => {}, refresh: () => {}, close: () => { closed += 1; } };
    },
  };
  const client = connectNative({ url: "http://gateway", transports: [transport], AppState });
  client.trackUser("7");
  await settle();
  await settle();
  assert.equal(opened, 1);
  for (const state of ["inactive", "background"]) listeners.forEach((listener) => listener(state));
  await settle();
  assert.equal(opened, 1);
  listeners.forEach((listener) => listener("active"));
  await settle();
  assert.deepEqual([opened, closed], [2, 1]);
  client.close();
  await settle();
  assert.deepEqual([opened, closed, listeners.size], [2, 2, 0]);
});
