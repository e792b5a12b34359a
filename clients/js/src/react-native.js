/**
 * React's hooks, and a client for an app: it has no tabs, and sleeps.
 *
 * @module
 */

import { connect } from "./client.js";

export * from "./react.js";

/**
 * Connect from an app. What React Native has is passed in, so that this needs none of it.
 *
 * @param {import("./client.js").Options & { url: string, AppState?: AppStateLike }} options `AppState` is React Native's;
 *   `storage` may be AsyncStorage
 */
export function connectNative({ AppState, storage = null, ...options }) {
  const client = connect({ ...options, storage, tabs: false });
  // Awake again, the app finds a connection that is dead and does not know it.
  const subscription = AppState?.addEventListener("change", (state) => { if (state === "active") client.reconnect(); });
  client.onConnection(({ state }) => { if (state === "closed") subscription?.remove(); });
  return client;
}

/**
 * @typedef {object} AppStateLike
 * @property {(type: "change", listener: (state: string) => void) => { remove: () => void }} addEventListener
 */
