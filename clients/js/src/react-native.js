/**
 * The React hooks, and a client for apps, which have no tabs and are suspended in the background.
 *
 * @module
 */

import { connect } from "./client.js";

export * from "./react.js";

/**
 * Create a client for an app. The parts of React Native are arguments, so this module does not import it.
 *
 * @param {import("./client.js").Options & { url: string, AppState?: AppStateLike }} options `AppState` is React Native's;
 *   `storage` may be AsyncStorage
 */
export function connectNative({ AppState, storage = null, ...options }) {
  const client = connect({ ...options, storage, tabs: false });
  // After a suspension the connection may be dead without notice.
  const subscription = AppState?.addEventListener("change", (state) => { if (state === "active") client.reconnect(); });
  client.onConnection(({ state }) => { if (state === "closed") subscription?.remove(); });
  return client;
}

/**
 * @typedef {object} AppStateLike
 * @property {(type: "change", listener: (state: string) => void) => { remove: () => void }} addEventListener
 */
