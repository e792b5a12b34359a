import { CTOError } from "./errors.js";

const PING_TIMEOUT_MS = 2_000; // a live leader answers within this time
const PING_MS = 10_000;

/** @typedef {import("./connection-manager.js").ConnectionMessage} ConnectionMessage */
/** @typedef {import("./connection-manager.js").ConnectionManager} ConnectionManager */

/** Return whether this browser can share a connection between tabs. */
export const canShare = () => globalThis.document && globalThis.navigator?.locks;

/**
 * One connection for all tabs of an origin. The tab that holds the lock is the leader. It has the connection, carries out the
 * commands of the other tabs, and forwards every message to them. When the leader closes, the browser gives the lock to
 * another tab, which opens a connection; then every tab repeats its commands. If the leader does not answer pings, it is
 * frozen, and another tab takes over.
 */
export class SharedConnection {
  isOpen = false;
  /** @type {ConnectionManager | undefined} only in the leader */ #manager;
  /** @type {import("./types.js").Connection | undefined} */ #connection;
  /** @type {Map<string, Set<string>>} the tabs that need a room */ #tabsByRoom = new Map();
  /** @type {Set<string>} the open tabs */ #tabs = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #pingTimer;
  #tab = Date.now() + Math.random().toString(36);
  #aborter = new AbortController();
  #untilClosed = { signal: this.#aborter.signal };
  #name;
  #createManager;
  #emit;
  #channel;
  #pings;

  /**
   * @param {string} name the same for all tabs that share a connection: they have one gateway and one user
   * @param {(emit: (...message: ConnectionMessage) => void) => ConnectionManager} createManager
   * @param {(...message: ConnectionMessage) => void} emit
   */
  constructor(name, createManager, emit) {
    this.#name = name;
    this.#createManager = createManager;
    this.#emit = emit;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }) => this.#onMessage(data);
    this.#acquireLock(name + this.#tab, this.#untilClosed); // the leader gets this lock when this tab closes
    this.#acquireLock(name, this.#untilClosed, this.#lead);
    document.addEventListener("visibilitychange", this.#pingLeader, this.#untilClosed);
    this.#pings = setInterval(this.#pingLeader, PING_MS);
    this.#send("hello");
  }

  /** @param {import("./types.js").ClientCommand} command */
  send(...command) {
    this.#send(...command);
  }

  reconnect() {
    this.#send("reconnect");
  }

  close() {
    clearInterval(this.#pings);
    clearTimeout(this.#pingTimer);
    this.#aborter.abort();
    this.#manager?.close();
    this.#channel.close();
  }

  /** Acquire a lock and keep it until this closes. @param {string} name @param {LockOptions} options @param {() => void} [onAcquired] */
  async #acquireLock(name, options, onAcquired) {
    const { signal } = this.#untilClosed;
    try {
      await navigator.locks.request(name, options, () => new Promise((/** @type {(_?: any) => void} */ resolve) => {
        signal.addEventListener("abort", resolve);
        if (signal.aborted) resolve();
        else onAcquired?.();
      }));
    } catch { // another tab took over
      if (signal.aborted) return;
      this.#manager?.close();
      this.#manager = undefined;
      void this.#acquireLock(name, this.#untilClosed, onAcquired);
    }
  }

  #lead = () => {
    this.isOpen = false;
    this.#tabsByRoom.clear();
    this.#manager = this.#createManager((...message) => {
      this.#channel.postMessage({ message: message.map(serialize) });
      this.#forward(message);
    });
  };

  /** @param {any[]} command */
  #send(...command) {
    if (this.#manager) this.#execute(this.#tab, command);
    else this.#channel.postMessage({ from: this.#tab, command });
  }

  /** @param {ConnectionMessage} message */
  #forward(message) {
    if (message[0] === "connection") {
      this.#connection = message[1];
      this.isOpen = message[1].state === "live";
    }
    this.#emit(...message);
  }

  /** Handle a message of another tab. @param {any} data */
  #onMessage({ from, command, to, message, isHidden }) {
    if (this.#manager) {
      if (command) this.#execute(from, command);
      return;
    }
    if (!message || (to && to !== this.#tab)) return;
    clearTimeout(this.#pingTimer);
    this.#pingTimer = undefined;
    const wasOpen = this.isOpen;
    this.#forward(message.map(deserialize));
    if (to && !wasOpen && this.isOpen) this.#emit("opened"); // it had opened before this tab
    // A hidden tab does not poll. This tab is visible, so it takes over.
    if (isHidden && message[1].via === "polling" && !document.hidden) this.#takeOver();
  }

  /** As the leader, carry out a command of a tab. @param {string} tab @param {any[]} command */
  #execute(tab, [name, target, ...args]) {
    const manager = /** @type {any} */ (this.#manager);
    if (tab !== this.#tab) this.#watchTab(tab);
    const room = name === "leave" || name === "join" ? target : `job_${target}`;
    if (name === "join" || name === "follow" || name === "catchUp") this.#tabsByRoom.set(room, (this.#tabsByRoom.get(room) ?? new Set()).add(tab));
    if (name === "reconnect") manager.reconnect();
    else if (name === "hello") this.#channel.postMessage({ to: tab, message: ["connection", serialize(this.#connection)], isHidden: document.hidden });
    else if (name !== "leave" || this.#removeTab(room, tab)) manager.send(name, target, ...args);
  }

  /** Remove a tab from a room. Returns whether the room has no tabs left. @param {string} room @param {string} tab */
  #removeTab(room, tab) {
    const tabs = this.#tabsByRoom.get(room);
    return tabs?.delete(tab) && !tabs.size && this.#tabsByRoom.delete(room);
  }

  /** Leave the rooms of a tab when it closes. @param {string} tab */
  #watchTab(tab) {
    if (this.#tabs.has(tab)) return;
    this.#tabs.add(tab);
    navigator.locks.request(this.#name + tab, this.#untilClosed, () => {
      this.#tabs.delete(tab);
      for (const room of this.#tabsByRoom.keys()) if (this.#removeTab(room, tab)) this.#manager?.send("leave", room);
    }).catch(() => {});
  }

  /** Check that the leader is alive; without an answer this tab takes over. */
  #pingLeader = () => {
    if (this.#manager || document.hidden) return;
    this.#send("hello");
    this.#pingTimer ??= setTimeout(this.#takeOver, PING_TIMEOUT_MS);
  };

  #takeOver = () => {
    this.#pingTimer = undefined;
    void this.#acquireLock(this.#name, { steal: true }, this.#lead);
  };
}

/** Convert an error to a plain object: a message between tabs would drop its code. @param {any} value @returns {any} */
const serialize = (value) => {
  if (value instanceof CTOError) return { ...value, text: value.message };
  return value?.error ? { ...value, error: serialize(value.error) } : value;
};

/** @param {any} value @returns {any} */
const deserialize = (value) => {
  if (value?.text) return new CTOError(value.code, value.text, value);
  return value?.error ? { ...value, error: deserialize(value.error) } : value;
};
